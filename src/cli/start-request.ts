import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseChecksum } from '../domain/checksum.js';
import { parseProxy, proxiesFrom } from '../domain/environment.js';
import { PosteError } from '../domain/errors.js';
import { DEFAULT_SETTINGS, type SessionSettings } from '../domain/events.js';
import { parseHeader } from '../domain/header.js';
import { inLine, parseInputFile, type InputEntry } from '../domain/input-file.js';
import { printable } from '../domain/printable.js';
import { parseDuration, parseTime } from '../domain/quantities.js';
import type { TaskSecrets } from '../domain/task.js';
import { newTask, type CommonChoices, type Download } from '../session/new-task.js';
import type { StartRequest } from '../session/start.js';
import type { CommonFlags, StartFlags } from './start-flags.js';

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
  const common = await commonChoices(flags, cwd, env);
  const headers = await commonHeaders(flags, env);
  return {
    tasks: [
      ...urls.map((url) => newTask(download(url, null, flags, headers), common)),
      ...entries.map(({ url, line, options }) => inLine(line, () => newTask(download(url, options, flags, headers), common))),
    ],
    settings: settings(flags),
    tempDir: flags['temp-dir'] === undefined ? null : resolve(cwd, flags['temp-dir']),
    cwd,
  };
}

/** The headers for every download of this command line. */
async function commonHeaders(flags: StartFlags, env: NodeJS.ProcessEnv): Promise<Download['headers']> {
  const file = flags['header-file'];
  const lines = file === undefined ? [] : (await readText('--header-file', file)).split(/\r?\n/).filter((line) => line.trim() !== '');
  const headers = [...lines, ...(flags.header ?? [])].map(parseHeader);
  return flags['bearer-env'] === undefined ? headers : [...headers, bearer(flags['bearer-env'], env)];
}

function download(url: string, options: InputEntry['options'] | null, flags: StartFlags, headers: Download['headers']): Download {
  const checksum = options?.checksum ?? flags.checksum;
  return {
    url,
    label: options?.label ?? flags.label ?? null,
    name: options?.out ?? flags.name ?? null,
    to: options?.to ?? flags.to ?? null,
    checksum: checksum === undefined ? null : parseChecksum(checksum).checksum,
    headers: [...headers, ...(options?.headers ?? []).map(parseHeader)],
  };
}

/** `--proxy` stands for both kinds; what goes without one is still said by NO_PROXY. */
function oneProxy(text: string, env: NodeJS.ProcessEnv): TaskSecrets['proxy'] {
  const url = parseProxy(text, '--proxy');
  const no = proxiesFrom(env)?.no;
  return { http: url, https: url, ...(no === undefined ? {} : { no }) };
}

function bearer(name: string, env: NodeJS.ProcessEnv): [string, string] {
  const token = env[name];
  if (token === undefined || token === '') {
    throw new PosteError('usage', `--bearer-env ${name}: there is no such variable in the environment, or it is empty`, { hint: `export ${name}=…` });
  }
  return parseHeader(`Authorization: Bearer ${token}`);
}

async function commonChoices(flags: StartFlags, cwd: string, env: NodeJS.ProcessEnv): Promise<CommonChoices> {
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
    caFile: flags.cacert === undefined ? null : await readableFile('--cacert', resolve(cwd, flags.cacert)),
    insecure: flags.insecure,
    paused: flags.paused,
    forceNew: flags.new,
    proxy: flags.proxy === undefined ? proxiesFrom(env) : oneProxy(flags.proxy, env),
  };
}

/** What of the flags is about the whole session. */
export function settings(flags: CommonFlags): Partial<SessionSettings> {
  return {
    ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
    ...(flags['limit-rate'] === undefined ? {} : { limitRate: flags['limit-rate'] }),
    ...(flags['on-complete'] === undefined ? {} : { onComplete: flags['on-complete'] }),
    ...(flags.retain === undefined ? {} : { retainMs: flags.retain === 'forever' ? null : parseDuration(flags.retain) }),
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

async function readText(flag: string, path: string): Promise<string> {
  return readFile(await readableFile(flag, path), 'utf8').catch((error: unknown) => {
    throw new PosteError('usage', `${flag}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function readableFile(flag: string, path: string): Promise<string> {
  await access(path, constants.R_OK).catch(() => {
    throw new PosteError('usage', `${flag}: ${printable(path)} cannot be read`, { hint: 'name a file that is there' });
  });
  return path;
}

async function readInput(path: string): Promise<string> {
  if (path !== '-') return readText('--input-file', path);
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
