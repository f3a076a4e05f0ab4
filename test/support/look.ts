import { readdir, readFile } from 'node:fs/promises';

/** Empty when it is not there. */
export function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** None when it is not there. */
export function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** Of a file of sealed lines: one of them is not whole. */
export function isTorn(text: string): boolean {
  return text.split('\n').some((line, index, lines) => (index === lines.length - 1 ? line !== '' : !/^\{.*"\}$/.test(line)));
}
