import { EXIT_CODE } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import type { Claimed } from '../session/claim.js';
import { errorLine, type Output } from './output.js';

/** Prints each final path, ended by `end`, and says what could not be claimed. Returns the exit code. */
export function printClaimed(id: string, { claimed, failed }: Claimed, output: Output, end: string): number {
  if (output.json) output.object({ schema: 1, id, claimed, failed });
  else {
    for (const { path } of claimed) printPath(path, end);
    for (const { error } of failed) process.stderr.write(`${errorLine(error)}\n`);
  }
  return claimCode({ claimed, failed });
}

export function claimCode({ failed }: Claimed): number {
  const codes = new Set(failed.map(({ error }) => error.exitCode));
  const [only] = codes;
  return codes.size === 0 ? 0 : codes.size === 1 && only !== undefined ? only : EXIT_CODE.mixed;
}

/** A path is a result that scripts use: raw to a pipe, and inert on a terminal. */
function printPath(path: string, end: string): void {
  process.stdout.write(`${process.stdout.isTTY ? printable(path) : path}${end}`);
}
