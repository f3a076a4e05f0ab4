import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** A program that downloads and resumes, used as its users do. */
export interface Client {
  readonly name: string;
  /** The same command fetches a file and, given again, resumes it. The file is to be `file.bin` in the directory that it runs in. */
  readonly command: (url: string) => readonly [file: string, ...args: string[]];
  /** Of what the command has started and left running. */
  readonly backgroundPid?: (dir: string) => Promise<number | null>;
}

const RUN = resolve('bin/run.js');

export const POSTE: Client = {
  name: 'poste',
  command: (url) => [process.execPath, RUN, 'start', '--wait', '--quiet', '--to', './', url],
  backgroundPid: async (dir) => {
    const text = await readFile(join(dir, 'home', 'sessions', 'default', 'owner.json'), 'utf8').catch(() => null);
    return text === null ? null : (JSON.parse(text) as { identity: { pid: number } }).identity.pid;
  },
};

/** The careful way to call each: it continues, it tries again, and it takes a status of an error for one. */
export const CLIENTS: readonly Client[] = [
  { name: 'curl', command: (url) => ['curl', '-sSfL', '-C', '-', '-O', '--retry', '3', url] },
  { name: 'wget', command: (url) => ['wget', '-q', '-c', '--waitretry=0', url] },
  { name: 'wget2', command: (url) => ['wget2', '-q', '-c', '--waitretry=0', url] },
  { name: 'aria2', command: (url) => ['aria2c', '-q', '-c', '--retry-wait=0', url] },
  { name: 'aria2 ×4', command: (url) => ['aria2c', '-q', '-c', '-x4', '-s4', '-k1M', '--retry-wait=0', url] },
  { name: 'axel ×4', command: (url) => ['axel', '-q', '-n4', url] },
  POSTE,
];

/** `null` when it is not installed. */
export function versionOf({ command }: Client): string | null {
  const [file, script] = command('');
  const args = script === RUN ? [RUN, '--version'] : ['--version'];
  const { status, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) return null;
  return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'of an unknown version';
}
