import stringWidth from 'string-width';

/**
 * Characters that act instead of showing: C0, DEL and C1 controls (ESC among them), bidi controls, zero-width and other invisible
 * characters, line and paragraph separators, lone surrogates. The variation selectors that choose between text and emoji are harmless.
 */
export const INVISIBLE = /(?![\uFE0E\uFE0F])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Text from a server, a file or a user, made inert for a terminal and a log: what would act is shown as an escape (`\n`, `\x1b`,
 * `\u202e`), so one line stays one line. With `maxColumns` it is cut to that display width and ends in `…`.
 */
export function printable(text: string, maxColumns?: number): string {
  const inert = text.replace(INVISIBLE, visible);
  return maxColumns === undefined ? inert : shortened(inert, maxColumns);
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code <= 0xff) return SHORT_ESCAPES[char] ?? `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}

/** Never splits a grapheme, and looks no further than the columns it may fill. */
function shortened(text: string, maxColumns: number): string {
  if (maxColumns < 1) return '';
  // A column for each character: no need for Segmenter, whose first use takes as long as a short command.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length <= maxColumns ? text : `${text.slice(0, maxColumns - 1)}…`;
  let width = 0;
  let fits = 0;
  for (const { segment, index } of new Intl.Segmenter().segment(text)) {
    width += stringWidth(segment);
    if (width > maxColumns) return `${text.slice(0, fits)}…`;
    if (width < maxColumns) fits = index + segment.length;
  }
  return text;
}
