import { resolve } from 'node:path';
import { PosteError } from '../domain/errors.js';
import { checkUserName, nameFromUrl, safeFileName } from '../domain/file-name.js';
import type { NewTask } from '../domain/requests.js';
import type { Checksum, TaskConditions, TaskSecrets, TaskSpec } from '../domain/task.js';
import { parseDownloadUrl } from '../domain/url.js';
import { urlHash } from '../store/secrets.js';

/** One download as a user asks for it: values already parsed, paths as typed. */
export interface Download {
  readonly url: string;
  readonly name: string | null;
  readonly label: string | null;
  readonly to: string | null;
  readonly checksum: Checksum | null;
  readonly headers: readonly (readonly [string, string])[];
}

/** What is asked for all downloads of one `start`. */
export interface CommonChoices {
  readonly cwd: string;
  readonly priority: TaskSpec['priority'];
  readonly connections: TaskSpec['connections'];
  readonly conditions: TaskConditions;
  readonly onFinish: string | null;
  readonly hookTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly retries: number | null;
  readonly maxSize: number | null;
  readonly expectSize: number | null;
  readonly userAgent: string | null;
  readonly caFile: string | null;
  readonly insecure: boolean;
  readonly paused: boolean;
  readonly forceNew: boolean;
  readonly proxy: TaskSecrets['proxy'] | null;
}

/**
 * A task as it is recorded, with what is secret of it kept apart: header values, userinfo, query values, proxies.
 * @throws PosteError `usage`
 */
export function newTask(download: Download, common: CommonChoices): NewTask {
  const { url, redacted, credentials } = parseDownloadUrl(download.url);
  const { paused, forceNew, proxy, cwd, ...choices } = common;
  const urlName = nameFromUrl(url);
  const headers = [...download.headers];
  if (credentials !== null) {
    if (headers.some(([name]) => name.toLowerCase() === 'authorization')) {
      throw new PosteError('usage', 'user and password in the URL and an Authorization header: which one?', { hint: 'give one of the two' });
    }
    const pair = `${credentials.username}:${credentials.password}`;
    headers.push(['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`]);
  }
  const spec: TaskSpec = {
    ...choices,
    cwd,
    url: redacted,
    urlHash: urlHash(url),
    label: download.label,
    name: download.name !== null ? checkUserName(download.name) : safeFileName(urlName ?? ''),
    namedBy: download.name !== null ? 'user' : urlName !== null ? 'url' : 'default',
    to: download.to === null ? null : absoluteDestination(download.to, cwd),
    checksum: download.checksum,
    headerNames: headers.map(([name]) => name),
  };
  const secrets: TaskSecrets = {
    ...(url === redacted ? {} : { url }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(proxy === null || proxy === undefined ? {} : { proxy }),
  };
  return { spec, secrets, paused, forceNew };
}

/** Absolute, and a slash at its end (which means into that directory) is kept. */
function absoluteDestination(to: string, cwd: string): string {
  if (to === '' || to.includes('\0')) throw new PosteError('usage', '--to needs a path', { hint: 'a directory, or the file itself' });
  const absolute = resolve(cwd, to);
  return to.endsWith('/') && absolute !== '/' ? `${absolute}/` : absolute;
}

/**
 * A new link for a task that exists. Credentials are given at `start`.
 * @throws PosteError `usage`
 */
export function newLink(text: string): { redacted: string; hash: string; secret: string | null } {
  const { url, redacted, credentials } = parseDownloadUrl(text);
  if (credentials !== null) throw new PosteError('usage', 'a new link cannot carry a user and password', { hint: 'leave them out: the task keeps its own' });
  return { redacted, hash: urlHash(url), secret: url === redacted ? null : url };
}
