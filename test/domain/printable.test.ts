import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { printable } from '../../src/domain/printable.js';

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string());

describe('printable', () => {
  it.each([
    ['plain text stays', 'ubuntu-24.04.iso', 'ubuntu-24.04.iso'],
    ['letters of the world stay', 'Größe 文件 ملف', 'Größe 文件 ملف'],
    ['emoji keep their variation selector', '❤️', '❤️'],
    ['a window title cannot be set', '\x1b]0;owned\x07', '\\x1b]0;owned\\x07'],
    ['C1 controls are escapes too', '\x9b31m', '\\x9b31m'],
    ['DEL is shown', 'a\x7f', 'a\\x7f'],
    ['one line stays one line', 'a\r\nb\tc\u2028d\u0085e', 'a\\r\\nb\\tc\\u2028d\\x85e'],
    ['an extension cannot be turned round', 'gpj\u202eexe', 'gpj\\u202eexe'],
    ['isolates and marks are shown', '\u2066a\u2069\u200f\u061c', '\\u2066a\\u2069\\u200f\\u061c'],
    ['what has no width is shown', 'a\u200bb\u200dc\ufeffd\u00ad', 'a\\u200bb\\u200dc\\ufeffd\\xad'],
    ['annotations are shown', '\ufff9a\ufffb', '\\ufff9a\\ufffb'],
    ['blank fillers are shown', '\u3164\u115f', '\\u3164\\u115f'],
    ['tag characters are shown', '\u{e0041}', '\\u{e0041}'],
    ['half a surrogate pair is shown', 'a\ud800b', 'a\\ud800b'],
  ])('%s', (_what, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it.each([
    ['what fits is whole', 'abcde', 5, 'abcde'],
    ['what does not fit ends in an ellipsis', 'abcdef', 5, 'abcd…'],
    ['wide characters count twice', '文件文件', 5, '文件…'],
    ['a wide character is not cut in half', '文件文件', 4, '文…'],
    ['a letter keeps its accents', 'ae\u0301e\u0301', 2, 'a…'],
    ['escapes count as they are shown', '\x1b\x1b', 5, '\\x1b…'],
    ['no room shows nothing', 'abc', 0, ''],
    ['room for one is the ellipsis', 'abc', 1, '…'],
  ])('shortened: %s', (_what, text, columns, shown) => {
    expect(printable(text, columns)).toBe(shown);
  });

  it('#101 never lets anything through that acts on a terminal', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
        expect(printable(shown)).toBe(shown);
      }),
      { numRuns: 500 },
    );
  });

  it('never takes more columns than it was given', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 30 }), (text, columns) => {
        expect(stringWidth(printable(text, columns))).toBeLessThanOrEqual(columns);
      }),
      { numRuns: 500 },
    );
  });
});
