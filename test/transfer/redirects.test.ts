import { connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { content, redirect, routes, serve, sha256, startOrigin, status, type Origin } from '../support/origin.js';
import { makeCertificates } from '../support/certificates.js';
import { makeRig } from './rig.js';

const file = content('redirects', 100_000);
const OLD = new Date(Date.now() - 3_600_000);
const SECRETS = {
  headers: [
    ['Authorization', 'Bearer secret'],
    ['Cookie', 'a=secret'],
    ['X-API-Key', 'secret'],
    ['Accept-Language', 'de'],
  ] as const,
};

function sentSecrets(origin: Origin): boolean {
  return origin.log.some(({ rawHeaders }) => rawHeaders.some(([, value]) => value.includes('secret')));
}

test('#23 a private header goes to the origin it was given for, and to no other', async () => {
  await using other = await startOrigin(() => serve(file));
  await using origin = await startOrigin(() => redirect(other.at('/file')));
  await using rig = await makeRig({ url: origin.at('/file'), userAgent: 'mine/1' }, SECRETS);
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(sentSecrets(origin)).toBe(true);
  expect(sentSecrets(other)).toBe(false);
  expect(other.log[0]?.headers.get('accept-language')).toBe('de');
  expect(other.log[0]?.headers.get('user-agent')).toBe('mine/1');
});

test('#23 what was dropped on the way out stays dropped on the way back', async () => {
  await using origin = await startOrigin(routes({ '/back': serve(file) }));
  await using other = await startOrigin(() => redirect(origin.at('/back')));
  origin.script = ({ path, rawHeaders }) => {
    if (path === '/file') return redirect(other.at('/away'));
    expect(rawHeaders.filter(([, value]) => value.includes('secret'))).toEqual([]);
    return serve(file);
  };
  await using rig = await makeRig({ url: origin.at('/file') }, SECRETS);
  expect(await rig.run()).toMatchObject({ kind: 'complete' });
});

test('#23 another name for the same host, another scheme: another origin, for headers and for the client certificate', async () => {
  await using certificates = await makeCertificates();
  const { good: tls, caFile, client } = certificates;
  const spec = { caFile, clientCertificate: { certFile: client.certFile, keyFile: client.keyFile } };
  await using secure = await startOrigin(() => serve(file), { tls });
  await using plain = await startOrigin(() => redirect(secure.at('/file')));
  await using named = await startOrigin(({ path }) => (path === '/file' ? redirect(`http://localhost:${named.port}/there`) : serve(file)));
  await using byName = await makeRig({ url: named.at('/file') }, SECRETS);
  expect(await byName.run()).toMatchObject({ kind: 'complete', provenance: { tls: 'none', redirects: [`127.0.0.1:${named.port}`] } });
  expect(named.log.map(({ headers }) => headers.has('x-api-key'))).toEqual([true, false]);
  await using byScheme = await makeRig({ url: plain.at('/file'), ...spec }, SECRETS);
  expect(await byScheme.run()).toMatchObject({ kind: 'complete', provenance: { tls: 'none' } });
  expect([sentSecrets(plain), sentSecrets(secure)]).toEqual([true, false]);
  await using own = await makeRig({ url: secure.at('/file'), ...spec }, SECRETS);
  expect(await own.run()).toMatchObject({ kind: 'complete', provenance: { tls: 'verified' } });
  expect(secure.log.map(({ clientCertificate }) => clientCertificate)).toEqual([null, 'poste test client']);
  // Away and back: the very origin that was shown the certificate before is not shown it again by this chain.
  await using other = await startOrigin(() => redirect(secure.at('/back')), { tls });
  secure.script = ({ path }) => (path === '/file' ? redirect(other.at('/away')) : serve(file));
  expect(await own.forget().then(() => own.run())).toMatchObject({ kind: 'complete' });
  expect([...other.log, ...secure.log.slice(2)].map(({ clientCertificate, path }) => [path, clientCertificate])).toEqual([
    ['/away', null],
    ['/file', 'poste test client'],
    ['/back', null],
  ]);
  await using lax = await makeRig({ url: other.at('/x'), insecure: true });
  expect(await lax.run()).toMatchObject({ kind: 'complete', provenance: { tls: 'insecure' } });
});

test.each([301, 302, 303, 307, 308])('%i is followed, relative too, with the headers of the origin', async (code) => {
  await using origin = await startOrigin(routes({ '/a/file': redirect('../b?q#part', code), '/b': serve(file) }));
  await using rig = await makeRig({ url: origin.at('/a/file') }, SECRETS);
  expect(await rig.run()).toMatchObject({ kind: 'complete', provenance: { redirects: [`127.0.0.1:${origin.port}`] } });
  expect(origin.log[1]?.path).toBe('/b?q');
  expect(origin.log[1]?.headers.get('x-api-key')).toBe('secret');
});

test('#22 20 redirects are followed, a loop is refused with its chain, and no secret in it', async () => {
  await using origin = await startOrigin(({ n }) => (n <= 20 ? redirect(`/hop${n}`) : serve(file)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete' });
  origin.script = () => redirect('/loop?token=secret');
  await using other = await makeRig({ url: origin.at('/start?token=secret') });
  const outcome = await other.run();
  expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'redirect', exitCode: 23 } });
  const text = JSON.stringify(outcome);
  expect(text).toContain('/start');
  expect(text).toContain('/loop');
  expect(text).not.toContain('secret');
});

test.each(['file:///etc/passwd', 'data:text/plain,hello', 'ftp://127.0.0.1/x', 'javascript:1'])('#22 a redirect to %s is refused', async (target) => {
  await using origin = await startOrigin(() => redirect(target));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'redirect' } });
});

test('#24 another target on resume is fine: the version decides', async () => {
  await using first = await startOrigin(() => serve(file, { etag: '"1"', truncateAt: 80_000 }));
  await using second = await startOrigin(() => serve(file, { etag: '"1"' }));
  await using origin = await startOrigin(({ n }) => redirect((n === 1 ? first : second).at('/file')));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(second.log[0]?.range?.start).toBe(80_000 - 65_536);
});

test('#101 a name is taken from the server only where neither user nor URL gave one, and made safe', async () => {
  const disposition = ['Content-Disposition', 'attachment; filename="../../etc/passwd"'] as const;
  await using origin = await startOrigin(() => serve(file, { extraHeaders: [disposition] }));
  await using asked = await makeRig({ url: origin.at('/'), name: 'download', namedBy: 'default' });
  expect(await asked.run()).toMatchObject({ name: 'passwd' });
  await using named = await makeRig({ url: origin.at('/file') });
  expect(await named.run()).toMatchObject({ name: 'file' });
});

test('#31 TLS: a good certificate is trusted through --cacert, a bad one never, but with --insecure', async () => {
  await using certificates = await makeCertificates();
  const { good, expired, otherHost, selfSigned, caFile } = certificates;
  const attempted = async (tls: typeof good, spec: { caFile?: string; insecure?: boolean }): Promise<unknown> => {
    await using origin = await startOrigin(() => serve(file), { tls });
    await using rig = await makeRig({ url: origin.at('/file'), ...spec });
    const outcome = await rig.run();
    return outcome.kind === 'failed' ? outcome.error.code : outcome.kind;
  };
  expect(await attempted(good, { caFile })).toBe('complete');
  expect(await attempted(good, {})).toBe('tls');
  expect(await attempted(expired, { caFile })).toBe('tls');
  expect(await attempted(otherHost, { caFile })).toBe('tls');
  expect(await attempted(selfSigned, { caFile })).toBe('tls');
  expect(await attempted(selfSigned, { insecure: true })).toBe('complete');
});

test('#22 #31 TLS: never from https down to http; a cut without close_notify is no end', async () => {
  await using certificates = await makeCertificates();
  const { good: tls, caFile } = certificates;
  await using plain = await startOrigin(() => serve(file));
  await using origin = await startOrigin(() => redirect(plain.at('/file')), { tls });
  await using rig = await makeRig({ url: origin.at('/file'), caFile });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'redirect' } });
  expect(plain.log).toEqual([]);
  origin.script = ({ n }) => serve(file, { etag: '"1"', lastModified: OLD, contentLength: 'none', ...(n === 2 ? { truncateAt: 50_000 } : {}) });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
});

test('#33 a proxy carries http requests, gets its own password, and the origin never does', async () => {
  await using proxy = await startOrigin(({ headers }) => (headers.has('proxy-authorization') ? serve(file, { etag: '"1"' }) : status(407)));
  const http = `http://user:pa%20ss@127.0.0.1:${proxy.port}`;
  await using rig = await makeRig({ url: 'http://example.invalid/file' }, { proxy: { http } });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(proxy.log[0]).toMatchObject({ method: 'GET', path: 'http://example.invalid/file' });
  expect(proxy.log[0]?.headers.get('proxy-authorization')).toBe(`Basic ${Buffer.from('user:pa ss').toString('base64')}`);
  await using origin = await startOrigin(() => serve(file));
  await using direct = await makeRig({ url: origin.at('/file') }, { proxy: { http, no: '127.0.0.1' } });
  expect(await direct.run()).toMatchObject({ kind: 'complete' });
  expect(origin.log[0]?.headers.has('proxy-authorization')).toBe(false);
});

test('#33 a proxy that wants a password, that is dead, that refuses to connect: errors of their own', async () => {
  await using proxy = await startOrigin(() => status(407));
  const http = `http://127.0.0.1:${proxy.port}`;
  await using rig = await makeRig({ url: 'http://example.invalid/file' }, { proxy: { http } });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'auth', exitCode: 24 } });
  expect(await rig.run({ hadBytes: true })).toMatchObject({ kind: 'needs', code: 'needs-auth' });
  await using tunnel = await makeRig({ url: 'https://example.invalid/file' }, { proxy: { https: http } });
  expect(await tunnel.run()).toMatchObject({ kind: 'failed', error: { code: 'auth' } });
  proxy.script = () => status(502);
  expect(await tunnel.run()).toMatchObject({ kind: 'retry', error: { code: 'proxy', exitCode: 6 } });
  await proxy.down();
  expect(await rig.run()).toMatchObject({ kind: 'retry', error: { code: 'proxy', exitCode: 6 } });
});

test('#33 https goes through a proxy as through a tunnel, a body that ends with its connection too', async () => {
  await using certificates = await makeCertificates();
  const options = { etag: '"1"', lastModified: OLD };
  await using origin = await startOrigin(({ n }) => serve(file, n === 1 ? { ...options, contentLength: 'none' } : options), { tls: certificates.good });
  const heads: string[] = [];
  const proxy = createServer((client) => {
    client.once('data', (head) => {
      heads.push(head.toString());
      const upstream = connect(origin.port, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
      client.pipe(upstream).pipe(client);
      for (const socket of [client, upstream]) socket.on('error', () => [client, upstream].forEach((end) => end.destroy()));
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void proxy.close());
  await new Promise((resolve) => proxy.once('listening', resolve));
  const address = proxy.address();
  const https = `http://user:secret@127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
  await using rig = await makeRig({ url: origin.at('/file'), caFile: certificates.caFile }, { proxy: { https } });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
  expect(heads[0]).toContain(`CONNECT 127.0.0.1:${origin.port}`);
  expect(heads[0]?.toLowerCase()).toContain('proxy-authorization: basic');
  expect(origin.log.every(({ headers }) => !headers.has('proxy-authorization'))).toBe(true);
});
