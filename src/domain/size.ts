import { PosteError } from './errors.js';
import type { TaskSpec } from './task.js';

type Sizes = Pick<TaskSpec, 'maxSize' | 'expectSize'>;

/** @throws PosteError `too-large` or `wrong-size` for a file of `total` bytes that is not what the user wants; `null` is yet unknown. */
export function checkSize({ maxSize, expectSize }: Sizes, total: number | null): void {
  if (total === null) return;
  if (maxSize !== null && total > maxSize) throw tooLarge(maxSize);
  if (expectSize !== null && total !== expectSize) throw wrongSize(expectSize, `has ${total} bytes`);
}

/** How many bytes may come of a file whose size nobody said, and the error for the next one. */
export function sizeLimit({ maxSize, expectSize }: Sizes): { readonly bytes: number; readonly error: PosteError } | null {
  if (expectSize !== null && expectSize <= (maxSize ?? expectSize)) return { bytes: expectSize, error: wrongSize(expectSize, 'has more bytes') };
  return maxSize === null ? null : { bytes: maxSize, error: tooLarge(maxSize) };
}

function tooLarge(maxSize: number): PosteError {
  return new PosteError('too-large', `the file is larger than the ${maxSize} bytes allowed`, { hint: 'raise --max-size if you want it' });
}

function wrongSize(expected: number, what: string): PosteError {
  return new PosteError('wrong-size', `the file ${what}, ${expected} were expected`, { hint: 'check --expect-size and the address' });
}
