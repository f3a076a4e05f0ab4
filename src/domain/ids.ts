import { PosteError } from './errors.js';
import { printable } from './printable.js';

/**
 * A session's identifier, checked: 1 to 64 letters, digits, dots, underscores and dashes, the first a letter or a digit.
 * @throws PosteError `usage`
 */
export function parseSessionId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new PosteError('usage', `"${printable(text.slice(0, 200), 40)}" cannot name a session`, {
    hint: 'use up to 64 letters, digits, dots, underscores and dashes, the first of them a letter or a digit',
  });
}

/** Whether two identifiers would be one directory on a file system that ignores case. */
export function sameIgnoringCase(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
