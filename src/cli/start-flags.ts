import { Flags, type Interfaces } from '@oclif/core';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseChecksum } from '../domain/checksum.js';
import { proxiesFrom } from '../domain/environment.js';
import { PosteError } from '../domain/errors.js';
import { DEFAULT_SETTINGS, type SessionSettings } from '../domain/events.js';
import { parseHeader } from '../domain/header.js';
import { inLine, parseInputFile, type InputEntry } from '../domain/input-file.js';
import { parseDuration, parseRate, parseSize, parseTime } from '../domain/quantities.js';
import { newTask, type CommonChoices, type Download } from '../session/new-task.js';
import type { StartRequest } from '../session/start.js';

const WHEN = ['ac-or-idle', 'ac', 'idle', 'ac-and-idle'] as const;
const PRIORITIES = ['high', 'normal', 'low'] as const;

const size = Flags.custom<number>({ helpValue: 'SIZE', parse: (text) => Promise.resolve(parseSize(text)) });
const duration = Flags.custom<number>({ helpValue: 'DURATION', parse: (text) => Promise.resolve(parseDuration(text)) });

/** What both `start` and `set` can say; each summary is also its line in the man pages. */
export const commonFlags = {
  priority: Flags.option({ options: PRIORITIES, helpValue: 'high|normal|low', summary: 'which tasks go first (normal)' })(),
  connections: Flags.string({ helpValue: 'auto|N', summary: 'connections for each file (auto)' }),
  jobs: Flags.integer({ char: 'j', min: 1, max: 64, helpValue: 'N', summary: `files at once (${DEFAULT_SETTINGS.jobs})` }),
  'limit-rate': Flags.custom<number | null>({ helpValue: 'RATE', parse: (text) => Promise.resolve(parseRate(text)) })({
    summary: 'at most this many bytes a second, over the whole session (2M is 2 MiB/s)',
  }),
  'on-finish': Flags.string({ helpValue: 'CMD', summary: 'run for each file that finishes or fails; it may move the file' }),
  'on-complete': Flags.string({ helpValue: 'CMD', summary: 'run when the whole session has settled' }),
  'hook-timeout': duration({ summary: 'end a hook that runs longer (10m)' }),
};

/** The flags of `start`: each summary is also its line in the man page. */
export const startFlags = {
  ...commonFlags,
  'input-file': Flags.string({ char: 'i', helpValue: 'FILE', summary: 'read URLs from FILE ("-": standard input), one a line, options indented below' }),
  name: Flags.string({ char: 'o', helpValue: 'NAME', summary: "the file's name (one URL only)" }),
  to: Flags.string({ helpValue: 'PATH', summary: 'where claim will put it: a directory, or the file itself' }),
  label: Flags.string({ helpValue: 'TEXT', summary: 'a note of your own, shown in status' }),
  paused: Flags.boolean({ summary: 'record it, but do not begin before poste resume' }),
  new: Flags.boolean({ summary: 'a task of its own, even if the session has this URL already' }),
  'temp-dir': Flags.string({ helpValue: 'DIR', summary: 'where bytes live until they are claimed (chosen when the session is created)' }),
  checksum: Flags.string({ helpValue: 'ALGO:HEX', summary: 'the digest that the file must have: sha256, sha512 or sha1 (one URL only)' }),
  'max-size': size({ summary: 'refuse anything larger' }),
  'expect-size': size({ summary: 'refuse anything of another size' }),
  header: Flags.string({ char: 'H', multiple: true, multipleNonGreedy: true, helpValue: "'Name: value'", summary: 'send this header to the origin of the URL, and only there' }),
  'bearer-env': Flags.string({ helpValue: 'NAME', summary: 'send the token that is in environment variable NAME' }),
  'user-agent': Flags.string({ helpValue: 'TEXT', summary: 'what to call itself' }),
  cacert: Flags.string({ helpValue: 'FILE', summary: 'trust the certificates in FILE (PEM)' }),
  insecure: Flags.boolean({ summary: 'accept any TLS certificate; recorded in the receipt' }),
  discretionary: Flags.boolean({ summary: 'run when the moment is good: see --when' }),
  when: Flags.option({ options: WHEN, dependsOn: ['discretionary'], helpValue: WHEN.join('|'), summary: 'what a good moment is (ac-or-idle)' })(),
  'only-if': Flags.string({ helpValue: 'CMD', summary: 'run only while this command exits 0' }),
  'only-unmetered': Flags.boolean({ summary: 'run only while the network is not metered' }),
  by: Flags.string({ helpValue: 'TIME', dependsOn: ['discretionary'], summary: 'the conditions of --when relax as this time nears' }),
  'not-before': Flags.string({ helpValue: 'TIME', summary: 'do not begin before: 18:00, now+2h, or ISO 8601' }),
  'give-up-after': duration({ default: () => Promise.resolve(7 * 86_400_000), defaultHelp: () => Promise.resolve('7d'), summary: 'fail what has not finished by then' }),
  'stall-timeout': duration({ default: () => Promise.resolve(60_000), defaultHelp: () => Promise.resolve('60s'), summary: 'reconnect when no byte comes for so long' }),
  retries: Flags.string({ default: 'forever', helpValue: 'N|forever', summary: 'failed tries in a row, without a new byte, before giving up' }),
};

export type StartFlags = Interfaces.InferredFlags<typeof startFlags>;

/**
 * The whole command line of `start` as one request; reads the input file, creates nothing.
 * @throws PosteError `usage`
 */
export async function startRequest(urls: readonly string[], flags: StartFlags, env: NodeJS.ProcessEnv): Promise<StartRequest> {
  const cwd = process.cwd();
  const entries = flags['input-file'] === undefined ? [] : parseInputFile(await readInput(flags['input-file']));
  const count = urls.length + entries.length;
  if (count === 0) throw new PosteError('usage', 'nothing to download', { hint: 'give a URL, or -i FILE' });
  if (count > 1 && (flags.name !== undefined || flags.checksum !== undefined)) {
    throw new PosteError('usage', `${flags.name === undefined ? '--checksum' : '--name'} is for one download, and there are ${count}`, {
      hint: 'use an input file with out= and checksum= for each',
    });
  }
  const common = commonChoices(flags, cwd, env);
  return {
    tasks: [
      ...urls.map((url) => newTask(download(url, null, flags, env), common)),
      ...entries.map(({ url, line, options }) => inLine(line, () => newTask(download(url, options, flags, env), common))),
    ],
    settings: settings(flags),
    tempDir: flags['temp-dir'] === undefined ? null : resolve(cwd, flags['temp-dir']),
    cwd,
  };
}

function download(url: string, options: InputEntry['options'] | null, flags: StartFlags, env: NodeJS.ProcessEnv): Download {
  const headers = [...(flags.header ?? []), ...(options?.headers ?? [])].map(parseHeader);
  if (flags['bearer-env'] !== undefined) headers.push(bearer(flags['bearer-env'], env));
  const checksum = options?.checksum ?? flags.checksum;
  return {
    url,
    label: options?.label ?? flags.label ?? null,
    name: options?.out ?? flags.name ?? null,
    to: options?.to ?? flags.to ?? null,
    checksum: checksum === undefined ? null : parseChecksum(checksum).checksum,
    headers,
  };
}

function bearer(name: string, env: NodeJS.ProcessEnv): [string, string] {
  const token = env[name];
  if (token === undefined || token === '') {
    throw new PosteError('usage', `--bearer-env ${name}: there is no such variable in the environment, or it is empty`, { hint: `export ${name}=…` });
  }
  return parseHeader(`Authorization: Bearer ${token}`);
}

function commonChoices(flags: StartFlags, cwd: string, env: NodeJS.ProcessEnv): CommonChoices {
  return {
    cwd,
    priority: flags.priority ?? 'normal',
    connections: connections(flags.connections ?? 'auto'),
    conditions: {
      when: flags.discretionary ? (flags.when ?? 'ac-or-idle') : null,
      onlyIf: flags['only-if'] ?? null,
      unmetered: flags['only-unmetered'],
      notBefore: flags['not-before'] === undefined ? null : parseTime(flags['not-before'], Date.now()),
      by: flags.by === undefined ? null : parseTime(flags.by, Date.now()),
    },
    onFinish: flags['on-finish'] ?? null,
    hookTimeoutMs: flags['hook-timeout'] ?? DEFAULT_SETTINGS.hookTimeoutMs,
    stallTimeoutMs: flags['stall-timeout'],
    giveUpAfterMs: flags['give-up-after'],
    retries: retries(flags.retries),
    maxSize: flags['max-size'] ?? null,
    expectSize: flags['expect-size'] ?? null,
    userAgent: flags['user-agent'] ?? null,
    caFile: flags.cacert === undefined ? null : resolve(cwd, flags.cacert),
    insecure: flags.insecure,
    paused: flags.paused,
    forceNew: flags.new,
    proxy: proxiesFrom(env),
  };
}

/** What of the flags is about the whole session. */
export function settings(flags: Interfaces.InferredFlags<typeof commonFlags>): Partial<SessionSettings> {
  return {
    ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
    ...(flags['limit-rate'] === undefined ? {} : { limitRate: flags['limit-rate'] }),
    ...(flags['on-complete'] === undefined ? {} : { onComplete: flags['on-complete'] }),
    ...(flags['hook-timeout'] === undefined ? {} : { hookTimeoutMs: flags['hook-timeout'] }),
  };
}

/** @throws PosteError `usage` */
export function connections(text: string): 'auto' | number {
  if (text === 'auto') return 'auto';
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 16) return number;
  throw new PosteError('usage', '--connections takes auto or a number from 1 to 16');
}

function retries(text: string): number | null {
  if (text === 'forever') return null;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new PosteError('usage', '--retries takes a number or "forever"', { hint: '--retries 5' });
}

async function readInput(path: string): Promise<string> {
  if (path !== '-') {
    return readFile(path, 'utf8').catch((error: unknown) => {
      throw new PosteError('usage', `the input file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
