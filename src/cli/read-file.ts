import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';

/** The text of a file that a flag names. @throws PosteError `usage`, naming the flag */
export async function readText(flag: string, path: string): Promise<string> {
  return readFile(await readableFile(flag, path), 'utf8').catch((error: unknown) => {
    throw new PosteError('usage', `${flag}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

/** `path`, if it can be read. @throws PosteError `usage`, naming the flag */
export async function readableFile(flag: string, path: string): Promise<string> {
  await access(path, constants.R_OK).catch(() => {
    throw new PosteError('usage', `${flag}: ${shown(path)} cannot be read`, { hint: 'name a file that is there' });
  });
  return path;
}

/** What looks like a header (`-H` meant) is one that somebody wants kept to himself. */
function shown(path: string): string {
  return /^[\w-]+:/.test(path) ? 'what it names' : printable(path);
}
