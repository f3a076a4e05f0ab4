import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PosteError } from '../../src/domain/errors.js';
import { parseHeader } from '../../src/domain/header.js';

describe('parseHeader', () => {
  it.each([
    ['Accept: text/plain', ['Accept', 'text/plain']],
    ['X-A:b', ['X-A', 'b']],
    ['X-A: \t b c \t', ['X-A', 'b c']],
    ['Cookie: a=b; c="d:e"', ['Cookie', 'a=b; c="d:e"']],
    ["!#$%&'*+-.^_`|~09Az: x", ["!#$%&'*+-.^_`|~09Az", 'x']],
    ['X-Latin: caf\u00e9', ['X-Latin', 'caf\u00e9']],
    ['constructor: x', ['constructor', 'x']],
  ])('reads %j', (text, pair) => {
    expect(parseHeader(text)).toEqual(pair);
  });

  it.each([
    ['a line break', 'X-A: S3CRET\r\nX-B: S3CRET', /line break/],
    ['a line feed', 'X-A: S3CRET\nHost: x', /line break/],
    ['a lone carriage return', 'X-A: S3CRET\r', /line break/],
    ['a folded line', 'X-A: S3CRET\r\n more', /line break/],
    ['NUL', 'X-A: S3CRET\0', /NUL/],
    ['a line break in the name', 'X\n-A: S3CRET', /line break/],
    ['no colon', 'Bearer S3CRET', /name and a colon/],
    ['no name', ': S3CRET', /name and a colon/],
    ['a blank in the name', 'Bearer S3CRET: x', /name and a colon/],
    ['a blank before the colon', 'X-A : S3CRET', /name and a colon/],
    ['a pseudo header', ':path: S3CRET', /name and a colon/],
    ['letters beyond ASCII in the name', 'Schl\u00fcssel: S3CRET', /name and a colon/],
    ['nothing', '', /name and a colon/],
    ['no value', 'X-A:', /X-A has no value/],
    ['a value of blanks', 'X-A: \t ', /X-A has no value/],
    ['an escape', 'X-A: S3CRET\x1b[2J', /HTTP cannot carry/],
    ['letters beyond Latin-1', 'X-A: S3CRET文', /HTTP cannot carry/],
  ])('#104 refuses %s and does not show it', (_what, text, fault) => {
    const { code, message, hint } = refusalOf(text);
    expect(code).toBe('usage');
    expect(message).toMatch(fault);
    expect(`${message}${hint ?? ''}`).not.toMatch(/S3CRET|\p{Cc}/u);
  });

  it.each([
    ...['Range', 'If-Range', 'If-None-Match', 'Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Accept-Encoding'],
    ...['TE', 'Upgrade', 'Expect', 'Proxy-Authorization', 'trailer', 'KEEP-ALIVE'],
  ])('refuses %s and says why', (name) => {
    expect(refusalOf(`${name}: S3CRET`).message).toMatch(new RegExp(`^the header ${name} cannot be set: (?!.*S3CRET)[A-Za-z ,]+$`));
  });

  it('lets nothing through that could be more than one header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (tail) => {
        const text = `X-A: b${tail}`;
        try {
          const [name, value] = parseHeader(text);
          expect(name).toBe('X-A');
          expect(value).toMatch(/^[\t\x20-\x7e\x80-\xff]+$/);
        } catch (error) {
          expect(error).toBeInstanceOf(PosteError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function refusalOf(text: string): PosteError {
  try {
    parseHeader(text);
  } catch (error) {
    if (error instanceof PosteError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was taken`);
}
