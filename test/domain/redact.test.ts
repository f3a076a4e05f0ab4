import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactHeader, redactUrl } from '../../src/domain/redact.js';

describe('redactUrl', () => {
  it.each([
    ['nothing secret, nothing changed', 'https://example.org/a/b.iso', 'https://example.org/a/b.iso'],
    ['user and password go', 'https://me:s3cret@example.org/a', 'https://example.org/a'],
    ['query values go, keys stay', 'https://example.org/a?sig=s3cret&expires=9', 'https://example.org/a?sig=***&expires=***'],
    ['a value with = in it goes whole', 'https://example.org/a?t=s3=cret', 'https://example.org/a?t=***'],
    ['a bare token goes', 'https://example.org/a?s3cret', 'https://example.org/a?***'],
    ['the fragment goes', 'https://example.org/a#s3cret', 'https://example.org/a'],
    ['empty parts stay empty', 'https://example.org/a?&x=', 'https://example.org/a?&x=***'],
    ['an empty query is no query to redact', 'https://example.org/a?', 'https://example.org/a?'],
    ['a port stays', 'http://example.org:8080/a?k=v', 'http://example.org:8080/a?k=***'],
    ['other schemes show themselves only', 'data:text/plain,s3cret', 'data:***'],
    ['what is no URL is not shown', 'me:s3cret@', 'me:***'],
    ['nor is rubbish', '//s3cret', '(not a URL)'],
  ])('%s', (_what, url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });

  it('shows no userinfo, query value or fragment of any URL, and redacting twice changes nothing', () => {
    const secret = fc.stringMatching(/^[a-z0-9%]{1,12}$/).map((text) => `S3CRET${text}`);
    fc.assert(
      fc.property(secret, secret, secret, secret, (user, password, value, hash) => {
        const shown = redactUrl(`https://${user}:${password}@example.org/f?key=${value}&${value}&a==${value}#${hash}`);
        expect(shown).not.toContain('S3CRET');
        expect(redactUrl(shown)).toBe(shown);
      }),
    );
  });
});

describe('redactHeader', () => {
  it.each(['Authorization', 'cookie', 'Set-Cookie', 'PRIVATE-TOKEN', 'X-Anything', 'Location'])('hides the value of %s', (name) => {
    expect(redactHeader(name, 's3cret')).toBe('***');
  });

  it.each(['ETag', 'content-length', 'Content-Range', 'Retry-After'])('shows the value of %s', (name) => {
    expect(redactHeader(name, '7')).toBe('7');
  });
});
