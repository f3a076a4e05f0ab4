import { EXIT_CODE } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import type { Claimed, ClaimedFile } from '../session/claim.js';
import type { Output } from './output.js';

/** Prints a final path as soon as the file is there, ended by `end`; with `--json` it is in the one object. */
export function printPath({ path }: ClaimedFile, output: Output, end: string): void {
  // A path is a result that scripts use: raw to a pipe, and inert on a terminal.
  if (!output.json) process.stdout.write(`${process.stdout.isTTY ? printable(path) : path}${end}`);
}

/** The one object, or what could not be claimed, in words. Returns the exit code. */
export function reportClaimed(id: string, { claimed, failed }: Claimed, output: Output): number {
  if (output.json) output.object({ schema: 1, id, claimed, failed });
  else for (const { error } of failed) output.error(error);
  return claimCode({ claimed, failed });
}

export function claimCode({ failed }: Claimed): number {
  const codes = new Set(failed.map(({ error }) => error.exitCode));
  const [only] = codes;
  return codes.size === 0 ? 0 : codes.size === 1 && only !== undefined ? only : EXIT_CODE.mixed;
}
