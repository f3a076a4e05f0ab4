import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PosteError } from '../../src/domain/errors.js';
import { originOf, parseDownloadUrl } from '../../src/domain/url.js';

describe('#100 parseDownloadUrl', () => {
  it.each([
    ['a plain URL', 'https://example.org/a.iso', 'https://example.org/a.iso', 'https://example.org/a.iso'],
    ['a query is fetched and not shown', 'https://example.org/a?sig=x', 'https://example.org/a?sig=x', 'https://example.org/a?sig=***'],
    ['a fragment is never sent', 'https://example.org/a#b', 'https://example.org/a', 'https://example.org/a'],
    ['case and default port', 'HTTPS://Example.ORG:443/A', 'https://example.org/A', 'https://example.org/A'],
    ['an international name', 'https://bücher.example/ä', 'https://xn--bcher-kva.example/%C3%A4', 'https://xn--bcher-kva.example/%C3%A4'],
    ['IPv6', 'http://[::1]:8080/x', 'http://[::1]:8080/x', 'http://[::1]:8080/x'],
  ])('%s', (_what, text, url, redacted) => {
    expect(parseDownloadUrl(text)).toEqual({ url, redacted, credentials: null });
  });

  it.each([
    ['https://me:pw@example.org/a', { username: 'me', password: 'pw' }],
    ['https://me@example.org/a', { username: 'me', password: '' }],
    ['https://:pw@example.org/a', { username: '', password: 'pw' }],
    ['https://m%40e:p%3Aw%2F@example.org/a', { username: 'm@e', password: 'p:w/' }],
    ['https://me:100%@example.org/a', { username: 'me', password: '100%' }],
    ['https://@example.org/a', null],
  ])('%s moves user and password out of sight', (text, credentials) => {
    expect(parseDownloadUrl(text)).toEqual({ url: 'https://example.org/a', redacted: 'https://example.org/a', credentials });
  });

  it.each([
    ['', 'the URL is empty'],
    ['ftp://example.org/a', 'http and https only, not ftp'],
    ['file:///etc/passwd', 'only, not file'],
    ['file:/etc/passwd', 'only, not file'],
    ['javascript:alert(1)', 'only, not javascript'],
    ['data:text/plain,S3CRET', 'only, not data'],
    ['example.org/a.iso', 'example.org/a.iso has no http:// or https://'],
    ['localhost:8080/a', 'localhost:8080/a has no http:// or https://'],
    ['me:S3CRET@example.org/a?t=S3CRET', 'example.org/a has no http:// or https://'],
    ['https://example.org/a b', 'space'],
    [' https://example.org/a', 'space'],
    ['https://example.org/a\u00a0b', 'space'],
    ['https://example.org/a\nb', 'control character'],
    ['https://exa\tmple.org/a', 'control character'],
    ['https://example.org/\x1b[2J', 'control character'],
    ['https://example.org/\x9b', 'control character'],
    ['https://example.org\\@evil.example/', 'backslash'],
    ['http:\\\\example.org', 'backslash'],
    ['http:example.org', 'names no host'],
    ['https:/example.org', 'names no host'],
    ['https:///etc/passwd', 'names no host'],
    ['https://', 'names no host'],
    ['https://?S3CRET', 'names no host'],
    ['https://example.org:99999/', 'host or a port'],
    ['https://me:S3CR/ET@example.org:x/', 'host or a port'],
    ['https://S3CRET@[::1/a', 'host or a port'],
    ['https://exa%00mple.org/', 'host or a port'],
  ])('refuses %j: %s', (text, fault) => {
    const { code, message, hint } = refusalOf(text);
    expect(code).toBe('usage');
    expect(message).toContain(fault);
    expect(`${message}${hint ?? ''}`).not.toMatch(/S3CR|\p{Cc}/u);
    expect(hint).toBeDefined();
  });

  it('shows no password and no query value of any URL, good or bad', () => {
    const junk = fc.string({ unit: fc.constantFrom('a', ':', '/', '[', '%', ' ', '.', '9', '\\', '\u202e') });
    const scheme = fc.constantFrom('http://', 'https://', 'ftp://', '', 'user:', '//');
    fc.assert(
      fc.property(scheme, junk, junk, (start, user, rest) => {
        const text = `${start}${user}S3CRET@example.org${rest}?k=S3CRET#S3CRET`;
        // A slash ends the host, and what follows is a path: there was no userinfo.
        fc.pre(!/[/\\]/.test(user));
        const shown = outcomeOf(text);
        expect(shown).not.toMatch(/S3CRET|\p{Cc}|\u202e/u);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads its own result again as the same', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (text) => {
        const first = parseDownloadUrl(text);
        expect(parseDownloadUrl(first.url)).toEqual(first);
      }),
    );
  });
});

describe('originOf', () => {
  it.each([
    ['https://example.org/a', 'https://example.org'],
    ['https://example.org:443/a', 'https://example.org'],
    ['https://example.org:8443/a', 'https://example.org:8443'],
    ['http://example.org/a', 'http://example.org'],
  ])('%s belongs to %s', (url, origin) => {
    expect(originOf(url)).toBe(origin);
  });
});

function refusalOf(text: string): PosteError {
  try {
    parseDownloadUrl(text);
  } catch (error) {
    if (error instanceof PosteError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was taken`);
}

/** What of a URL may reach a screen: its redacted form or the refusal. */
function outcomeOf(text: string): string {
  try {
    return parseDownloadUrl(text).redacted;
  } catch (error) {
    if (error instanceof PosteError) return `${error.message} ${error.hint ?? ''}`;
    throw error;
  }
}
