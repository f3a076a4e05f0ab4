import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseCookies, type Cookie } from '../domain/cookies.js';
import { PosteError } from '../domain/errors.js';
import { parseHeader } from '../domain/header.js';
import { parseNetrc, type NetrcEntry } from '../domain/netrc.js';
import { printable } from '../domain/printable.js';
import type { ClientCertificate } from '../domain/task.js';
import { readText, readableFile } from './read-file.js';
import type { StartFlags } from './start-flags.js';

/** What the downloads of one command line may tell of who asks; which of it goes to whom, their URLs say. */
export interface Credentials {
  readonly headers: readonly (readonly [string, string])[];
  readonly netrc: readonly NetrcEntry[];
  readonly cookies: readonly Cookie[];
  readonly clientCertificate: ClientCertificate | null;
}

/**
 * Reads every file and variable that the flags name for it. `warn` takes a line for people.
 * @throws PosteError `usage`, in words that hold no part of a secret
 */
export async function readCredentials(flags: StartFlags, env: NodeJS.ProcessEnv, warn: (line: string) => void): Promise<Credentials> {
  const headerFile = flags['header-file'];
  const netrcFile = flags['netrc-file'] ?? (flags.netrc ? join(env['HOME'] ?? homedir(), '.netrc') : undefined);
  const cookieFile = flags['cookie-file'];
  const lines = headerFile === undefined ? [] : (await readText('--header-file', headerFile)).split(/\r?\n/).filter((line) => line.trim() !== '');
  const headers = [...lines, ...(flags.header ?? [])].map(parseHeader);
  return {
    headers: flags['bearer-env'] === undefined ? headers : [...headers, bearer(flags['bearer-env'], env)],
    netrc: netrcFile === undefined ? [] : await readNetrc(netrcFile, warn),
    cookies: cookieFile === undefined ? [] : parseCookies(await readText('--cookie-file', cookieFile), Date.now()),
    clientCertificate: await clientCertificate(flags),
  };
}

function bearer(name: string, env: NodeJS.ProcessEnv): [string, string] {
  const token = env[name];
  if (token === undefined || token === '') {
    // The name is not repeated: it may be the token itself.
    throw new PosteError('usage', '--bearer-env names no variable of the environment, or an empty one', { hint: 'it takes the name, as in --bearer-env TOKEN after export TOKEN' });
  }
  return parseHeader(`Authorization: Bearer ${token}`);
}

async function readNetrc(path: string, warn: (line: string) => void): Promise<NetrcEntry[]> {
  const entries = parseNetrc(await readText('--netrc', path));
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0 && entries.some(({ password }) => password !== null)) warn(`others may read the passwords in ${printable(path)}: chmod 600 it`);
  return entries;
}

/** What is recorded is where the files are; they are read here to be refused now rather than in the background. */
async function clientCertificate({ cert, key }: StartFlags): Promise<ClientCertificate | null> {
  if (cert === undefined) {
    if (key !== undefined) throw new PosteError('usage', '--key is the key of a certificate, and there is no --cert', { hint: 'give both' });
    return null;
  }
  const certFile = await readableFile('--cert', resolve(cert));
  const keyFile = key === undefined ? certFile : await readableFile('--key', resolve(key));
  const certificate = parsed('--cert: there is no certificate (PEM) in that file', await readText('--cert', certFile), (text) => new X509Certificate(text));
  if (!certificate.checkPrivateKey(privateKey(key === undefined ? '--cert' : '--key', await readText('--key', keyFile)))) {
    throw new PosteError('usage', '--key is not the key of the certificate in --cert', { hint: 'give the two that belong together' });
  }
  return { certFile, keyFile };
}

function privateKey(flag: string, pem: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new PosteError('usage', `${flag}: the key is encrypted, and nobody is there to be asked for its pass phrase`, { hint: 'openssl pkey writes it without one' });
  }
  return parsed(`${flag}: there is no private key (PEM) in that file`, pem, (text) => createPrivateKey(text));
}

/** OpenSSL's own words say nothing to anybody, and might quote. */
function parsed<T>(message: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch {
    throw new PosteError('usage', message, { hint: 'give a PEM file; --key names the key when it is in another' });
  }
}
