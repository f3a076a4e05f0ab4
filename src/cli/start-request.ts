import { resolve } from 'node:path';
import { parseChecksum } from '../domain/checksum.js';
import { parseChecksumList } from '../domain/checksum-list.js';
import { parseProxy, proxiesFrom } from '../domain/environment.js';
import { PosteError } from '../domain/errors.js';
import { DEFAULT_SETTINGS, type SessionSettings } from '../domain/events.js';
import { parseHeader } from '../domain/header.js';
import { inLine, parseInputFile, type InputEntry } from '../domain/input-file.js';
import type { TaskSecrets } from '../domain/task.js';
import { newTask, type CommonChoices, type Download } from '../session/new-task.js';
import type { StartRequest } from '../session/start.js';
import { readCredentials, type Credentials } from './credentials.js';
import { readableFile, readText } from './read-file.js';
import type { CommonFlags, StartFlags } from './start-flags.js';

/**
 * The whole command line of `start` as one request; reads the files that it names, creates nothing. `warn` takes a line for people.
 * @throws PosteError `usage`
 */
export async function startRequest(
  urls: readonly string[],
  flags: StartFlags,
  env: NodeJS.ProcessEnv,
  warn: (line: string) => void,
): Promise<StartRequest> {
  const cwd = process.cwd();
  const entries = flags['input-file'] === undefined ? [] : parseInputFile(await readInput(flags['input-file']));
  const count = urls.length + entries.length;
  if (count === 0) throw new PosteError('usage', 'nothing to download', { hint: 'give a URL, or -i FILE' });
  if (count > 1 && (flags.name !== undefined || flags.checksum !== undefined)) {
    throw new PosteError('usage', `${flags.name === undefined ? '--checksum' : '--name'} is for one download, and there are ${count}`, {
      hint: 'use an input file with out= and checksum= for each',
    });
  }
  const given: Given = { credentials: await readCredentials(flags, env, warn), listed: await listedChecksums(flags) };
  const common = await commonChoices(flags, given.credentials, cwd, env);
  return {
    tasks: [
      ...urls.map((url) => newTask(download(url, null, flags, given), common)),
      ...entries.map(({ url, line, options }) => inLine(line, () => newTask(download(url, options, flags, given), common))),
    ],
    settings: settings(flags),
    tempDir: flags['temp-dir'] === undefined ? null : resolve(cwd, flags['temp-dir']),
    cwd,
  };
}

/** What the command line gives for each of its downloads to take its own from. */
interface Given {
  readonly credentials: Credentials;
  readonly listed: Download['listed'];
}

async function listedChecksums({ 'checksum-file': file }: StartFlags): Promise<Download['listed']> {
  if (file === undefined) return null;
  if (/^https?:/i.test(file)) {
    throw new PosteError('usage', '--checksum-file takes a file here, not a URL', { hint: 'fetch it first, from a place that you trust: curl -fO URL' });
  }
  return parseChecksumList(await readText('--checksum-file', file));
}

function download(url: string, options: InputEntry['options'] | null, flags: StartFlags, { credentials, listed }: Given): Download {
  const checksum = options?.checksum ?? flags.checksum;
  return {
    url,
    label: options?.label ?? flags.label ?? null,
    name: options?.out ?? flags.name ?? null,
    to: options?.to ?? flags.to ?? null,
    checksum: checksum === undefined ? null : parseChecksum(checksum).checksum,
    listed,
    headers: [...credentials.headers, ...(options?.headers ?? []).map(parseHeader)],
    netrc: credentials.netrc,
    cookies: credentials.cookies,
  };
}

/** `--proxy` stands for both kinds; what goes without one is still said by NO_PROXY. */
function oneProxy(text: string, env: NodeJS.ProcessEnv): TaskSecrets['proxy'] {
  const url = parseProxy(text, '--proxy');
  const no = proxiesFrom(env)?.no;
  return { http: url, https: url, ...(no === undefined ? {} : { no }) };
}

async function commonChoices(flags: StartFlags, { clientCertificate }: Credentials, cwd: string, env: NodeJS.ProcessEnv): Promise<CommonChoices> {
  return {
    cwd,
    priority: flags.priority ?? 'normal',
    connections: connections(flags.connections ?? 'auto'),
    conditions: {
      when: flags.discretionary ? (flags.when ?? 'ac-or-idle') : null,
      onlyIf: flags['only-if'] ?? null,
      unmetered: flags['only-unmetered'],
      notBefore: flags['not-before'] ?? null,
      by: flags.by ?? null,
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
    clientCertificate,
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
    ...(flags.retain === undefined ? {} : { retainMs: flags.retain }),
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
  if (path !== '-') return readText('--input-file', path);
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
