import { describe, expect, it } from 'vitest';
import { listedChecksum, parseChecksumList } from '../../src/domain/checksum-list.js';
import { cookieHeader, parseCookies } from '../../src/domain/cookies.js';
import { netrcCredentials, parseNetrc } from '../../src/domain/netrc.js';
import { scrubbed, scrubber } from '../../src/domain/scrub.js';

describe('a netrc file', () => {
  const entries = parseNetrc(
    [
      '# machine no.example login no password no',
      'machine example.org login bob password "s3 \\"x\\\\"',
      'macdef init',
      'machine evil.example login evil password evil',
      '',
      'machine two.example',
      '\taccount money LOGIN first PASSWORD one',
      'machine two.example login second password two',
      'default login anonymous password me@',
    ].join('\r\n'),
  );

  it.each([
    ['EXAMPLE.org', null, 'bob:s3 "x\\'],
    ['two.example', null, 'first:one'],
    ['two.example', 'second', 'second:two'],
    ['evil.example', null, 'anonymous:me@'],
    ['no.example', null, 'anonymous:me@'],
  ])('gives %s, asked as %s, %s', (host, login, expected) => {
    const found = netrcCredentials(entries, host, login);
    expect(`${found?.username ?? ''}:${found?.password ?? ''}`).toBe(expected);
  });

  it('has nothing for a host that it does not name, and names the line of a quotation mark without its end', () => {
    expect(netrcCredentials(parseNetrc('machine a login b password c'), 'b', null)).toBeNull();
    expect(netrcCredentials(parseNetrc('machine ::1 login b password c'), '[::1]', null)?.username).toBe('b');
    expect(() => parseNetrc('machine a\nlogin b password "hunter2')).toThrow(/^line 2 (?!.*hunter2)/);
  });
});

describe('a cookies.txt', () => {
  const now = 1_000_000_000_000;
  const line = (...fields: readonly string[]): string => fields.join('\t');
  const cookies = parseCookies(
    [
      '# Netscape HTTP Cookie File',
      line('.example.org', 'TRUE', '/', 'FALSE', '0', 'all', '1'),
      line('#HttpOnly_example.org', 'FALSE', '/dir', 'FALSE', '1000000001', 'deep', '2'),
      line('example.org', 'FALSE', '/', 'TRUE', '0', 'secure', '3'),
      line('example.org', 'FALSE', '/', 'FALSE', '999999999', 'expired', '4'),
      line('127.0.0.1', 'TRUE', '/', 'FALSE', '0', 'local', ''),
      '',
    ].join('\r\n'),
    now,
  );

  it.each([
    ['http://example.org/', 'all=1'],
    ['https://example.org/', 'all=1; secure=3'],
    ['http://example.org/dir', 'deep=2; all=1'],
    ['http://example.org/dir/file', 'deep=2; all=1'],
    ['http://example.org/directory', 'all=1'],
    ['http://www.example.org/dir/', 'all=1'],
    ['http://notexample.org/', null],
    ['http://127.0.0.1:81/', 'local='],
    ['http://9.127.0.0.1.example/', null],
  ])('sends %s: %s', (url, expected) => {
    expect(cookieHeader(cookies, new URL(url))).toBe(expected);
  });

  it('is refused with the line, and nothing of it, when it is none', () => {
    for (const bad of ['example.org hunter2', line('a', 'TRUE', '/', 'FALSE', 'soon', 'hunter2', 'x'), line('a', 'yes', '/', 'FALSE', '0', 'hunter2', 'x')]) {
      expect(() => parseCookies(`\n${bad}`, now)).toThrow(/^line 2 (?!.*hunter2)/);
    }
  });
});

describe('a list of digests', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64)) as [string, string, string, string];
  const list = parseChecksumList(
    [
      '-----BEGIN PGP SIGNED MESSAGE-----',
      `${a}  big.iso`,
      `${b} *./other.bin`,
      `SHA256 (with space.txt) = ${c.toUpperCase()}`,
      `MD5 (with space.txt) = ${'0'.repeat(32)}`,
      `\\${d}  back\\\\slash`,
      `${a}  main/Packages.gz`,
      `${b}  contrib/Packages.gz`,
      `${'0'.repeat(32)}  weak.bin`,
    ].join('\n'),
  );

  it.each([
    ['/pool/big.iso', ['big.iso'], a],
    ['/x?', ['renamed', 'big.iso'], a],
    ['/d/other.bin', ['other.bin'], b],
    ['/with space.txt', ['with space.txt'], c],
    ['/back\\slash', ['back\\slash'], d],
    ['/dists/contrib/Packages.gz', ['Packages.gz'], b],
  ])('%s as %j', (urlPath, names, hex) => {
    expect(listedChecksum(list, { urlPath, names })).toEqual({ algorithm: 'sha256', hex });
  });

  it.each([
    ['none is there', '/absent', 'absent'],
    ['two differ', '/elsewhere/Packages.gz', 'Packages.gz'],
    ['there is but md5', '/weak.bin', 'weak.bin'],
  ])('is no proof when %s', (_, urlPath, name) => {
    expect(() => listedChecksum(list, { urlPath, names: [name] })).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });

  it('is none without a digest in it', () => {
    expect(() => parseChecksumList('<html>not here</html>')).toThrow(/no line/);
  });
});

describe('what a server repeats of what it was sent', () => {
  const scrub = scrubber({
    url: 'https://example.org/f?token=query%2Dsecret&n=2',
    headers: [['Authorization', `Basic ${btoa('alice@x:pass-word')}`], ['Cookie', 'sid=cookie-secret; n=1'], ['X-Key', 'key (secret)'], ['Accept', 'text/plain']],
    proxy: { http: 'http://proxy-user:proxy%20pass@127.0.0.1:1/' },
  });

  it.each([
    `Basic ${btoa('alice@x:pass-word')}`,
    btoa('alice@x:pass-word'),
    'alice@x',
    encodeURIComponent('alice@x'),
    'pass-word',
    'query-secret',
    'query%2Dsecret',
    'COOKIE-SECRET',
    'key (secret)',
    'proxy pass',
    'proxy-user',
    btoa('proxy-user:proxy pass'),
  ])('is taken out: %s', (secret) => {
    expect(scrub(`503 no <${secret}> here`)).toBe('503 no <***> here');
  });

  it('leaves the rest as it is, numbers and nulls too', () => {
    const value = { message: '2 of 21 text/plain', size: 21, none: null, list: ['pass-word', true] };
    expect(scrubbed(value, scrub)).toEqual({ ...value, list: ['***', true] });
    expect(scrubber({})('anything')).toBe('anything');
  });
});
