import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PosteError } from '../../src/domain/errors.js';
import { inLine, parseInputFile, type InputEntry } from '../../src/domain/input-file.js';

const A = 'https://example.org/a';
const B = 'https://example.org/b';

describe('a list of URLs', () => {
  it.each<[string, string, InputEntry[]]>([
    ['nothing', '', []],
    ['only blanks and comments', '\n  \n# x\n\t# y\n', []],
    ['a URL a line', `${A}\n${B}\n`, [entry(A, 1), entry(B, 2)]],
    ['no line end at the end', `${A}\n${B}`, [entry(A, 1), entry(B, 2)]],
    ['blank lines and comments between', `# first\n\n${A}\n\n#\n${B}`, [entry(A, 3), entry(B, 6)]],
    ['a fragment is not a comment', `${A}#part`, [entry(`${A}#part`, 1)]],
    ['lines ended the Windows way, and a byte order mark', `\uFEFF${A}\r\n  out=x\r\n${B}\r\n`, [entry(A, 1, { out: 'x' }), entry(B, 3)]],
    ['a tab or blanks at the end', `${A}\t\n${B}  `, [entry(A, 1), entry(B, 2)]],
    [
      'options below',
      `${A}\n  out=x.iso\n\tchecksum=sha-256=00\n label=a = b\n  header=Accept: a\n  header=Cookie: k=v\n${B}\n  to=/srv/`,
      [
        entry(A, 1, { out: 'x.iso', checksum: 'sha-256=00', label: 'a = b', headers: ['Accept: a', 'Cookie: k=v'] }),
        entry(B, 7, { to: '/srv/' }),
      ],
    ],
    ['blanks around =', `${A}\n  out = x y`, [entry(A, 1, { out: 'x y' })]],
    ["aria2's dir is a folder", `${A}\n  dir=/srv`, [entry(A, 1, { to: '/srv/' })]],
    ['a comment between options', `${A}\n  out=x\n  # no\n\n  label=y`, [entry(A, 1, { out: 'x', label: 'y' })]],
  ])('%s', (_what, text, entries) => {
    expect(parseInputFile(text)).toEqual(entries);
  });

  it.each([
    ['an option before any URL', '\n  out=x', /^line 2: an option comes before the first URL/],
    ['an unknown option', `${A}\n  split=5`, /^line 2: unknown option split$/],
    ['an option of another case', `${A}\n  Out=5`, /^line 2: unknown option Out$/],
    ['a header without its key', `${A}\n  Authorization: Bearer S3CRET=`, /^line 2: unknown option$/],
    ['no equals sign', `${A}\n  S3CRET`, /^line 2: .* no "="/],
    ['an option twice', `${A}\n  out=x\n  out=y`, /^line 3: out is given twice/],
    ['two places to put it', `${A}\n  to=x\n  dir=y`, /^line 3: to is given twice/],
    ['an option without a value', `${A}\n  out=`, /^line 2: out has no value/],
    ['mirrors', `${A}\t${B}?S3CRET`, /^line 1: more than one URL/],
    ['the names of what every object has', `${A}\n  constructor=x`, /^line 2: unknown option constructor/],
  ])('refuses %s and names the line', (_what, text, message) => {
    expectRefusal(text, message);
  });
});

describe('NDJSON', () => {
  it.each<[string, string, InputEntry[]]>([
    ['an object a line', `{"url":"${A}"}\n{"url":"${B}","out":"b.iso"}\n`, [entry(A, 1), entry(B, 2, { out: 'b.iso' })]],
    ['name means out', `{"url":"${A}","name":"x"}`, [entry(A, 1, { out: 'x' })]],
    ['blank lines, CRLF, byte order mark', `\uFEFF{"url":"${A}"}\r\n\r\n {"url":"${B}"}\r\n`, [entry(A, 1), entry(B, 3)]],
    [
      'everything',
      `{"url":"${A}","out":"x","to":"/srv/","checksum":"sha256:00","label":"l","headers":["Accept: a","X: y"]}`,
      [entry(A, 1, { out: 'x', to: '/srv/', checksum: 'sha256:00', label: 'l', headers: ['Accept: a', 'X: y'] })],
    ],
  ])('%s', (_what, text, entries) => {
    expect(parseInputFile(text)).toEqual(entries);
  });

  it.each([
    ['what is no JSON', `{"url":"${A}"}\n{"url":"S3CRET`, /^line 2: not a JSON object on one line/],
    ['an object among URLs', `${A}\n{"url":"${B}"}`, /^line 2: a JSON object, in a file that begins with a URL$/],
    ['a URL among objects', `{"url":"${A}"}\n${B}`, /^line 2: not a JSON object on one line/],
    ['an array', `{"url":"${A}"}\n["S3CRET"]`, /^line 2: not a JSON object$/],
    ['null', `{"url":"${A}"}\nnull`, /^line 2: not a JSON object$/],
    ['no URL', '{"out":"x"}', /^line 1: there is no "url"/],
    ['a URL that is no string', '{"url":7}', /^line 1: "url" does not hold a string/],
    ['an unknown option', `{"url":"${A}","split":"5"}`, /^line 1: unknown option split/],
    ['a name and an out', `{"url":"${A}","name":"x","out":"y"}`, /^line 1: out is given twice/],
    ['headers that are no list', `{"url":"${A}","headers":{"Cookie":"S3CRET"}}`, /^line 1: "headers" is not a list/],
    ['a header that is no string', `{"url":"${A}","headers":[["S3CRET"]]}`, /^line 1: "headers" does not hold a string/],
    ['an option that is no string', `{"url":"${A}","out":null}`, /^line 1: "out" does not hold a string/],
    ['a prototype', `{"url":"${A}","__proto__":"x"}`, /^line 1: unknown option __proto__/],
    ['a key with escapes', `{"url":"${A}","\\u001b[2J":"x"}`, /^line 1: unknown option$/],
  ])('refuses %s and names the line', (_what, text, message) => {
    expectRefusal(text, message);
  });
});

const word = fc.stringMatching(/^[a-z0-9:=,.]{1,12}$/);
const options = fc.record(
  { out: word, to: word, checksum: word, label: word, headers: fc.array(word, { maxLength: 3 }) },
  { requiredKeys: ['headers'] },
);
const downloads = fc.array(fc.record({ url: fc.webUrl({ withQueryParameters: true }), options }), { maxLength: 8 });

it('both forms say the same', () => {
  fc.assert(
    fc.property(downloads, (all) => {
      const json = all.map(({ url, options: { headers, ...rest } }) => JSON.stringify({ url, headers, ...rest })).join('\n');
      const list = all
        .flatMap(({ url, options: { headers, ...rest } }) => [
          url,
          ...Object.entries(rest).map(([key, value]) => `  ${key}=${value}`),
          ...headers.map((header) => `\theader=${header}`),
          '',
        ])
        .join('\n');
      expect(withoutLines(parseInputFile(json))).toEqual(all);
      expect(withoutLines(parseInputFile(list))).toEqual(all);
    }),
  );
});

it('any text is read or refused in one line that names a line', () => {
  const known = fc.constantFrom(A, '{', '  out=x', '\t', '#', '{"url":"x"}', '\uFEFF', '\r');
  const line = fc.oneof(fc.string(), known, fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(line).map((lines) => lines.join('\n')), (text) => {
      try {
        parseInputFile(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(/^line \d+: [^\p{Cc}]+$/u) as string });
      }
    }),
  );
});

it('reads a hundred thousand downloads, in either form', () => {
  const list = Array.from({ length: 100_000 }, (_, index) => `${A}/${index}\n  out=${index}\n`).join('');
  const json = Array.from({ length: 100_000 }, (_, index) => `{"url":"${A}/${index}","out":"${index}"}\n`).join('');
  for (const text of [list, json]) {
    const entries = parseInputFile(text);
    expect(entries).toHaveLength(100_000);
    expect(entries.at(-1)).toMatchObject({ url: `${A}/99999`, options: { out: '99999' } });
  }
});

describe('inLine', () => {
  it('keeps code and hint of what it passes on', () => {
    const failing = (): never => {
      throw new PosteError('usage', 'the URL is empty', { hint: 'write one' });
    };
    const passedOn = { code: 'usage', message: 'line 7: the URL is empty', hint: 'write one' };
    expect(() => inLine(7, failing)).toThrow(expect.objectContaining(passedOn) as Error);
  });

  it('leaves bugs alone', () => {
    const bug = new TypeError('x');
    const failing = (): never => {
      throw bug;
    };
    expect(() => inLine(7, failing)).toThrow(bug);
  });
});

function entry(url: string, line: number, more: Partial<InputEntry['options']> = {}): InputEntry {
  return { url, line, options: { headers: [], ...more } };
}

function withoutLines(entries: readonly InputEntry[]): unknown {
  return entries.map(({ url, options: given }) => ({ url, options: given }));
}

function expectRefusal(text: string, message: RegExp): void {
  let thrown: unknown;
  try {
    parseInputFile(text);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'usage', message: expect.stringMatching(message) as string, hint: expect.any(String) as string });
  expect(thrown instanceof PosteError && `${thrown.message}${thrown.hint ?? ''}`).not.toMatch(/S3CRET/);
}
