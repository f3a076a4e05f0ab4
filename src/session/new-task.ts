import { resolve } from 'node:path';
import { listedChecksum, type ListedChecksum } from '../domain/checksum-list.js';
import { cookieHeader, type Cookie } from '../domain/cookies.js';
import { PosteError } from '../domain/errors.js';
import { checkUserName, nameFromUrl, safeFileName } from '../domain/file-name.js';
import { parseHeader } from '../domain/header.js';
import { netrcCredentials, type NetrcEntry } from '../domain/netrc.js';
import type { NewTask } from '../domain/requests.js';
import type { Checksum, ClientCertificate, TaskConditions, TaskSecrets, TaskSpec } from '../domain/task.js';
import { parseDownloadUrl } from '../domain/url.js';
import { urlHash } from '../store/secrets.js';

/** One download as a user asks for it: values already parsed, paths as typed. */
export interface Download {
  readonly url: string;
  readonly name: string | null;
  readonly label: string | null;
  readonly to: string | null;
  readonly checksum: Checksum | null;
  /** Digests by name, of which each download without one of its own must find its own; `null` asks for none. */
  readonly listed: readonly ListedChecksum[] | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly netrc: readonly NetrcEntry[];
  readonly cookies: readonly Cookie[];
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
  readonly clientCertificate: ClientCertificate | null;
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
  const headers = headersOf(download, new URL(url), credentials);
  const spec: TaskSpec = {
    ...choices,
    cwd,
    url: redacted,
    urlHash: urlHash(url),
    label: download.label,
    name: download.name !== null ? checkUserName(download.name) : safeFileName(urlName ?? ''),
    namedBy: download.name !== null ? 'user' : urlName !== null ? 'url' : 'default',
    to: download.to === null ? null : absoluteDestination(download.to, cwd),
    checksum: download.checksum ?? checksumFrom(download, url, urlName),
    headerNames: headers.map(([name]) => name),
  };
  const secrets: TaskSecrets = {
    ...(url === redacted ? {} : { url }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(proxy === null || proxy === undefined ? {} : { proxy }),
  };
  return { spec, secrets, paused, forceNew };
}

type Credentials = ReturnType<typeof parseDownloadUrl>['credentials'];

/** What was given for all, and of the files of passwords and cookies what is for this URL. What is said here goes before what is on file. */
function headersOf({ headers: given, netrc, cookies }: Download, url: URL, inUrl: Credentials): [string, string][] {
  const headers = given.map(([name, value]): [string, string] => [name, value]);
  const isAuthorized = headers.some(([name]) => name.toLowerCase() === 'authorization');
  if (inUrl !== null && isAuthorized) {
    throw new PosteError('usage', 'user and password in the URL and an Authorization header: which one?', { hint: 'give one of the two' });
  }
  const onFile = isAuthorized || (inUrl !== null && inUrl.password !== '') ? null : netrcCredentials(netrc, url.hostname, inUrl?.username ?? null);
  const credentials = onFile ?? inUrl;
  if (credentials !== null) {
    const pair = `${credentials.username}:${credentials.password}`;
    headers.push(['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`]);
  }
  const cookie = cookieHeader(cookies, url);
  if (cookie === null) return headers;
  // A server reads one Cookie header (RFC 6265, section 5.4).
  const others = headers.filter(([name]) => name.toLowerCase() !== 'cookie');
  const mine = headers.flatMap(([name, value]) => (name.toLowerCase() === 'cookie' ? [value] : []));
  return [...others, parseHeader(`Cookie: ${[...mine, cookie].join('; ')}`)];
}

function checksumFrom({ listed, name }: Download, url: string, urlName: string | null): Checksum | null {
  if (listed === null) return null;
  const path = new URL(url).pathname;
  const names = [name, urlName].filter((each) => each !== null);
  return listedChecksum(listed, { urlPath: decodedPath(path), names });
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
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
