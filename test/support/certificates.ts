import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** PEM texts for a server. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface Certificates extends AsyncDisposable {
  /** The PEM file of the authority that signed all but `selfSigned`. */
  readonly caFile: string;
  /** For 127.0.0.1 and localhost. */
  readonly good: Certificate;
  readonly expired: Certificate;
  /** For another host. */
  readonly otherHost: Certificate;
  readonly selfSigned: Certificate;
  /** For clients, `CN=poste test client`, and the files that it is in. */
  readonly client: Certificate & { readonly certFile: string; readonly keyFile: string };
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const HERE = 'subjectAltName=IP:127.0.0.1,DNS:localhost';

/** Makes an authority and certificates of it with the `openssl` command, in a directory of their own. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), 'poste-tls-'));
  const openssl = (...args: readonly string[]): Promise<unknown> => run('openssl', args, { cwd: dir });
  const subject = (name: string): readonly string[] => ['-keyout', `${name}.key`, '-subj', `/CN=poste test ${name}`];
  const selfSign = (name: string, more: readonly string[]): Promise<unknown> =>
    openssl('req', '-x509', ...KEY, ...subject(name), '-out', `${name}.pem`, '-days', '2', ...more);
  const signed = async (name: string, altName: string, days: string): Promise<Certificate> => {
    await openssl('req', ...KEY, ...subject(name), '-out', `${name}.csr`, '-addext', altName);
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-copy_extensions', 'copy'];
    await openssl('x509', '-req', '-in', `${name}.csr`, ...authority, '-days', days, '-out', `${name}.pem`);
    return read(name);
  };
  const read = async (name: string): Promise<Certificate> => ({
    key: await readFile(join(dir, `${name}.key`), 'utf8'),
    cert: await readFile(join(dir, `${name}.pem`), 'utf8'),
  });
  await selfSign('ca', []);
  await selfSign('self', ['-addext', HERE]);
  return {
    caFile: join(dir, 'ca.pem'),
    good: await signed('good', HERE, '2'),
    expired: await signed('expired', HERE, '-1'),
    otherHost: await signed('other', 'subjectAltName=DNS:elsewhere.example', '2'),
    selfSigned: await read('self'),
    client: { ...(await signed('client', HERE, '2')), certFile: join(dir, 'client.pem'), keyFile: join(dir, 'client.key') },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}
