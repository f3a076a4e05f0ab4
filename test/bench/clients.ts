import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/** What is to be fetched. */
export interface Job {
  readonly url: string;
  /** A file with the URLs, one a line, where there are many. */
  readonly list: string;
  /** The same as curl's configuration. */
  readonly curlList: string;
}

/** A program that downloads, as its users call it. What it fetches is to be in the directory that it runs in, under the name of the URL. */
export interface Client {
  readonly name: string;
  /** What must be installed. */
  readonly program: Program;
  readonly command: (job: Job) => readonly string[];
}

export type Program = 'poste' | 'curl' | 'aria2c' | 'axel' | 'wget2';

const RUN = resolve('bin/run.js');

/** The command line of poste. */
export function posteCommand(...args: readonly string[]): string[] {
  return [process.execPath, RUN, ...args];
}

/** `poste start --wait`, with more flags. */
export function poste(...flags: readonly string[]): Client {
  const name = ['poste', ...flags].join(' ');
  return { name, program: 'poste', command: ({ url }) => posteCommand('start', '--wait', ...flags, '--to', './', url) };
}

export function curl(...flags: readonly string[]): Client {
  return { name: ['curl', ...flags].join(' '), program: 'curl', command: ({ url }) => ['curl', '-sSf', ...flags, '-O', url] };
}

export function aria2(...flags: readonly string[]): Client {
  return { name: ['aria2', ...flags].join(' '), program: 'aria2c', command: ({ url }) => ['aria2c', '-q', ...flags, url] };
}

export function axel(...flags: readonly string[]): Client {
  return { name: ['axel', ...flags].join(' '), program: 'axel', command: ({ url }) => ['axel', '-q', ...flags, url] };
}

export function wget2(...flags: readonly string[]): Client {
  return { name: ['wget2', ...flags].join(' '), program: 'wget2', command: ({ url }) => ['wget2', '-q', ...flags, url] };
}

/** A script of the shell around a program, with the URL as `$0`. */
export function scripted(name: string, program: Program, script: string): Client {
  return { name, program, command: ({ url }) => ['sh', '-c', script, url] };
}

export const PROGRAMS: readonly Program[] = ['poste', 'curl', 'aria2c', 'axel', 'wget2'];
const versions = new Map<Program, string | null>();

/** `null` when it is not installed. */
export function versionOf(program: Program): string | null {
  const known = versions.get(program);
  if (known !== undefined) return known;
  const [file = '', ...args] = program === 'poste' ? posteCommand('--version') : [program, '--version'];
  const { status, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  const version = status === 0 ? (/\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'of an unknown version') : null;
  versions.set(program, version);
  return version;
}
