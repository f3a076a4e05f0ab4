import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { altered, content, inTurn, serve, sha256, startOrigin, status } from '../support/origin.js';
import { makeRig } from './rig.js';

const SIZE = 600_000;
const CUT = 400_000;
const file = content('proxies', SIZE);
const OLD = new Date(Date.now() - 3_600_000);
const TARGET = 'http://example.invalid/file.iso';
const digest = { algorithm: 'sha256', hex: sha256(file) } as const;

/** A proxy for tunnels that `onTunnel` may interfere with; returns its URL. `allows` is asked of each CONNECT's head. */
async function startTunnel(port: number, onTunnel: (client: Socket, upstream: Socket) => void, allows: (head: string) => boolean = () => true): Promise<string> {
  const proxy = createServer((client) => {
    client.on('error', () => undefined);
    client.once('data', (head) => {
      if (!allows(head.toString())) {
        client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const upstream = connect(port, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
      for (const socket of [client, upstream]) socket.on('error', () => [client, upstream].forEach((end) => end.destroy()));
      client.pipe(upstream).pipe(client);
      onTunnel(client, upstream);
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void proxy.close());
  await new Promise((resolve) => proxy.once('listening', resolve));
  const address = proxy.address();
  return `http://user:secret@127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
}

test.each(['fin', 'rst'] as const)('#33 a proxy that dies half way (%s), is gone, and comes back: what came is kept, and the rest is fetched', async (endWith) => {
  await using proxy = await startOrigin(() => serve(file, { etag: '"1"', truncateAt: CUT, endWith }));
  await using rig = await makeRig({ url: TARGET }, { proxy: { http: proxy.url } });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true, error: { code: 'network', exitCode: 6, transient: true } });
  await proxy.down();
  expect(await rig.run()).toMatchObject({ kind: 'retry', error: { code: 'proxy', exitCode: 6, transient: true } });
  await proxy.up();
  proxy.script = () => serve(file, { etag: '"1"' });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
});

test('#33 a tunnel that is cut half way is gone on with through the next one', async () => {
  await using certificates = await makeCertificates();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }), { tls: certificates.good });
  let tunnels = 0;
  const https = await startTunnel(origin.port, (client, upstream) => {
    tunnels += 1;
    if (tunnels > 1) return;
    let bytes = 0;
    upstream.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes > CUT) client.destroy();
    });
  });
  await using rig = await makeRig({ url: origin.at('/file'), caFile: certificates.caFile }, { proxy: { https } });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true, error: { transient: true } });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
});

test('#33 #20 407 with bytes here, then the password: the rest is fetched, and the origin never sees the password', async () => {
  await using certificates = await makeCertificates();
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"1"', truncateAt: CUT }), serve(file, { etag: '"1"' })), { tls: certificates.good });
  let opens = true;
  const heads: string[] = [];
  const https = await startTunnel(origin.port, () => undefined, (head) => {
    heads.push(head.toLowerCase());
    return opens;
  });
  await using rig = await makeRig({ url: origin.at('/file'), caFile: certificates.caFile }, { proxy: { https } });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true });
  opens = false;
  const refused = await rig.run();
  expect(refused).toMatchObject({ kind: 'needs', code: 'needs-auth', error: { exitCode: 24 } });
  expect(JSON.stringify(refused)).not.toContain('secret');
  opens = true;
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
  expect(heads.every((head) => head.includes(`proxy-authorization: basic ${Buffer.from('user:secret').toString('base64').toLowerCase()}`))).toBe(true);
  expect(origin.log.some(({ headers }) => headers.has('proxy-authorization'))).toBe(false);
});

test.each<[string, Parameters<typeof serve>[0], Parameters<typeof serve>[1]]>([
  ['the bytes before the join', altered(file, CUT - 1000), { etag: '"1"' }],
  ['the ETag', file, { etag: '"2"' }],
  ['the ETag to a weak one', file, { etag: 'W/"1"' }],
  ['validators away', file, {}],
  ['the size', content('longer', SIZE + 1), { etag: '"1"' }],
  ['ranges away', file, { etag: '"1"', ranges: 'ignore' }],
])('#33 a proxy that alters %s: one version whole in the end, never a mixture', async (_name, bytes, options) => {
  await using proxy = await startOrigin(inTurn(serve(file, { etag: '"1"', truncateAt: CUT }), serve(bytes, options)));
  await using rig = await makeRig({ url: TARGET }, { proxy: { http: proxy.url } });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(bytes) });
  expect(rig.told.restarts).toHaveLength(1);
});

test('#33 a proxy that alters single bytes is found out by the digest; one that puts its own page in the way is waited out', async () => {
  const spoilt = Buffer.from(file);
  spoilt[12_345] = (spoilt[12_345] ?? 0) ^ 1;
  await using proxy = await startOrigin(() => serve(spoilt, { etag: '"1"', lastModified: OLD }));
  await using rig = await makeRig({ url: TARGET, name: 'file.iso', checksum: digest }, { proxy: { http: proxy.url } });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'checksum', exitCode: 32 } });
  await using other = await makeRig({ url: TARGET, name: 'file.iso' }, { proxy: { http: proxy.url } });
  proxy.script = () => serve(Buffer.from('<html>blocked</html>'), { contentType: 'text/html' });
  expect(await other.run()).toMatchObject({ kind: 'retry', waitFor: 'portal' });
  proxy.script = () => status(504);
  expect(await other.run()).toMatchObject({ kind: 'retry', error: { transient: true } });
});
