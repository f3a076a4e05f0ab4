import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSessionId, sameIgnoringCase } from '../../src/domain/ids.js';

describe('#102 parseSessionId', () => {
  it.each(['default', '0', 'A', 'nightly-2025_01.02', 'x'.repeat(64)])('takes %s', (id) => {
    expect(parseSessionId(id)).toBe(id);
  });

  it.each(['', '.', '..', '-a', '_a', '.a', 'a/b', '../a', 'a b', 'a\n', 'é', 'a\0', 'x'.repeat(65), '\x1b[2J', 'y'.repeat(1_000_000)])(
    'refuses %.20j in one short line',
    (id) => {
      const message = messageOf(() => parseSessionId(id));
      expect(message).toMatch(/^[^\p{Cc}]{1,100}$/u);
    },
  );

  it('takes exactly what the contract says', () => {
    const near = fc.stringMatching(/^[A-Za-z0-9._/ -]{0,66}$/);
    fc.assert(
      fc.property(near, (text) => {
        const allowed = text.length >= 1 && text.length <= 64 && /^[A-Za-z0-9]/.test(text) && !/[/ ]/.test(text);
        expect(messageOf(() => parseSessionId(text)) === null).toBe(allowed);
      }),
    );
  });
});

describe('#102 sameIgnoringCase', () => {
  it.each([
    ['nightly', 'Nightly', true],
    ['a', 'a', true],
    ['a', 'b', false],
    ['a-b', 'a_b', false],
  ])('%s and %s: %s', (a, b, same) => {
    expect(sameIgnoringCase(a, b)).toBe(same);
  });
});

function messageOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    expect(error).toMatchObject({ code: 'usage' });
    return error instanceof Error ? error.message : '';
  }
}
