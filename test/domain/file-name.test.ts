import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkUserName, nameFromUrl, numberedName, safeFileName } from '../../src/domain/file-name.js';
import { printable } from '../../src/domain/printable.js';

const bytes = (text: string): number => Buffer.byteLength(text);

const piece = fc.constantFrom(
  ...['/', '\\', '..', '.', '-', ' ', ':', '\0', '\x1b[2J', '\n', '\u202e', '\u200b', '\ufeff', '\ud800', 'CON'],
  ...['nul', 'com1', '.txt', '.tar.gz', 'é', 'e\u0301', '文', '👩‍💻', '%2e%2e%2f', '~', '*', '\ufb2c'],
  ...['a'.repeat(120), '.'.repeat(130), ' '.repeat(130), '文'.repeat(100)],
);
const pieces = fc.array(fc.oneof(piece, fc.string({ unit: 'grapheme' })), { maxLength: 9 }).map((all) => all.join(''));
const hostile = fc.oneof(fc.string({ unit: 'binary' }), pieces);

describe('#101 safeFileName', () => {
  it.each([
    ['a good name stays', 'ubuntu-24.04.iso', 'ubuntu-24.04.iso'],
    ['letters of the world stay', 'Größe 文件.pdf', 'Größe 文件.pdf'],
    ['climbing out', '../../etc/passwd', 'passwd'],
    ['climbing out, the Windows way', '..\\..\\boot.ini', 'boot.ini'],
    ['an absolute path', '/etc/passwd', 'passwd'],
    ['a drive', 'C:\\Windows\\evil.exe', 'evil.exe'],
    ['a drive without a folder', 'C:evil.exe', 'C_evil.exe'],
    ['a stream', 'a.txt:hidden:$DATA', 'a.txt_hidden_$DATA'],
    ['a folder', 'folder/', 'folder'],
    ['a hidden file', '.bashrc', 'bashrc'],
    ['an option', '-rf', 'rf'],
    ['an option behind a space', ' --help', 'help'],
    ['only dots', '..', 'download'],
    ['only slashes', '///', 'download'],
    ['nothing', '', 'download'],
    ['only invisible characters', '\u200b\u202e\x1b', 'download'],
    ['escapes', '\x1b[31mred\x07.txt', '[31mred.txt'],
    ['a new line', 'a\nb.txt', 'ab.txt'],
    ['a reversed extension', 'photo\u202egpj.exe', 'photogpj.exe'],
    ['zero width', 'a\u200bb\ufeff.txt', 'ab.txt'],
    ['a dot behind something invisible', '\u200b.bashrc', 'bashrc'],
    ['trailing dots and spaces', 'name.txt. . ', 'name.txt'],
    ['a device', 'CON', 'CON_'],
    ['a device with an extension', 'nul.tar.gz', 'nul_.tar.gz'],
    ['a device behind a dot', '.aux', 'aux_'],
    ['reserved characters', 'what?<is>|this*.txt', 'what_is_this_.txt'],
    ['two code points for one letter', 'e\u0301.txt', 'é.txt'],
    ['percent signs are not read again', '..%2f..%2fpasswd', '%2f..%2fpasswd'],
  ])('%s: %j becomes %j', (_what, raw, name) => {
    expect(safeFileName(raw)).toBe(name);
  });

  it.each([
    ['its extension', `${'a'.repeat(300)}.iso`, /^a+\.iso$/],
    ['both of its extensions', `${'a'.repeat(300)}.tar.gz`, /^a+\.tar\.gz$/],
    ['whole characters', `${'文'.repeat(300)}.pdf`, /^文+\.pdf$/],
    ['what it can, when the extension is the long part', `a.${'b'.repeat(300)}`, /^a\.b+$/],
  ])('#69 a name of 300 characters keeps %s in 255 bytes', (_what, raw, pattern) => {
    const name = safeFileName(raw);
    expect(name).toMatch(pattern);
    expect(bytes(name)).toBeLessThanOrEqual(255);
    expect(bytes(name)).toBeGreaterThan(250);
  });

  it('leaves room for the mark that tells a file from a device', () => {
    const name = safeFileName(`con.${'x'.repeat(251)}`);
    expect(name).toMatch(/^con_\.x+$/);
    expect(bytes(name)).toBeLessThanOrEqual(255);
  });

  it('makes any text one harmless name', () => {
    fc.assert(
      fc.property(hostile, (raw) => {
        const name = safeFileName(raw);
        expect(bytes(name)).toBeGreaterThan(0);
        expect(bytes(name)).toBeLessThanOrEqual(255);
        expect(name).not.toMatch(/[/\\<>:"|?*]|^[.\s-]|[.\s]$/);
        expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d) *(\.|$)/i);
        expect(name).toBe(name.normalize('NFC'));
        expect(printable(name)).toBe(name);
        expect(checkUserName(name)).toBe(name);
      }),
      { numRuns: 2000 },
    );
  });

  it('changes nothing in a name that it made itself', () => {
    fc.assert(
      fc.property(hostile, (raw) => {
        const name = safeFileName(raw);
        expect(safeFileName(name)).toBe(name);
      }),
      { numRuns: 2000 },
    );
  });

  it('does not take ages over a megabyte of dots', () => {
    const raw = `${'.'.repeat(500_000)}a${'. '.repeat(250_000)}b`;
    expect(bytes(safeFileName(raw))).toBeLessThanOrEqual(255);
  });
});

describe('#101 nameFromUrl', () => {
  it.each([
    ['https://example.org/a/file.iso', 'file.iso'],
    ['https://example.org/a/file.iso?name=other#part', 'file.iso'],
    ['https://example.org/a%20b.txt', 'a b.txt'],
    ['https://example.org/%E6%96%87.txt', '文.txt'],
    ['https://example.org/once%252e.txt', 'once%2e.txt'],
    ['https://example.org/100%.txt', '100%.txt'],
    ['https://example.org/%ff%fe.txt', '%ff%fe.txt'],
    ['https://example.org/a%2f..%2fb.txt', 'b.txt'],
    ['https://example.org/a%5cb.txt', 'b.txt'],
    ['https://example.org/x/%2e%2e%2f', null],
    ['https://example.org/-rf', 'rf'],
    ['https://example.org/folder/', null],
    ['https://example.org', null],
    ['https://example.org/%20', null],
    ['https://example.org/..%2f', null],
  ])('%s suggests %j', (url, name) => {
    expect(nameFromUrl(url)).toBe(name);
  });

  it('suggests only names that the sanitiser leaves alone, whatever the URL', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), hostile, (url, tail) => {
        const name = nameFromUrl(`${url.split(/[?#]/, 1)[0] ?? url}/${tail}`);
        fc.pre(name !== null);
        expect(safeFileName(name)).toBe(name);
      }),
      { numRuns: 500 },
    );
  });
});

describe('checkUserName', () => {
  it.each(['file.iso', '.hidden', '-rf', 'a b', 'back\\slash', 'é', 'e\u0301', 'CON', 'x'.repeat(255)])('takes %j as it is', (name) => {
    expect(checkUserName(name)).toBe(name);
  });

  const refused = expect.objectContaining({ code: 'usage', message: expect.stringMatching(/^[\x20-\x7e]+$/) as string }) as Error;

  const bad = ['', '.', '..', 'a/b', '/abs', 'dir/', 'a\nb', 'a\0b', '\x1b[2J', '\ud800', 'x'.repeat(256), '文'.repeat(86)];
  it.each(bad)('refuses %.20j', (name) => {
    expect(() => checkUserName(name)).toThrow(refused);
  });
});

describe('numberedName', () => {
  it.each([
    ['file.iso', 1, 'file (1).iso'],
    ['file', 2, 'file (2)'],
    ['backup.tar.gz', 3, 'backup (3).tar.gz'],
    ['.bashrc', 1, '.bashrc (1)'],
    ['v1.2 notes', 1, 'v1.2 notes (1)'],
    ['a.b.txt', 10, 'a.b (10).txt'],
  ])('%s, number %d, is %s', (name, n, numbered) => {
    expect(numberedName(name, n)).toBe(numbered);
  });

  it('gives every number its own name, still of 255 bytes at most', () => {
    const long = fc.oneof(hostile.map(safeFileName), fc.constantFrom(`${'文'.repeat(83)}.tar.gz`, 'x'.repeat(255)));
    fc.assert(
      fc.property(long, fc.integer({ min: 1, max: 9999 }), (name, n) => {
        expect(bytes(numberedName(name, n))).toBeLessThanOrEqual(255);
        expect(numberedName(name, n)).not.toBe(numberedName(name, n + 1));
        expect(numberedName(name, n)).not.toBe(name);
      }),
    );
  });
});
