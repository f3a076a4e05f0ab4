import { createServer } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { content, hangUp, inTurn, loginPage, raw, redirect, serve, sha256, silence, startOrigin, status, type Behaviour, type ServeOptions } from '../support/origin.js';
import { makeRig } from './rig.js';

const SIZE = 600_000;
const file = content('faults', SIZE);
const OLD = new Date(Date.now() - 3_600_000);
const tagged = { etag: '"1"', lastModified: OLD };

test.each<[string, ServeOptions]>([
  ['Content-Length', {}],
  ['Content-Length, on a connection that is to close', { extraHeaders: [['Connection', 'close']] }],
  ['chunked', { chunked: true }],
  ['chunked, on a connection that is to close', { chunked: true, extraHeaders: [['Connection', 'close']] }],
  ['a body that ends with its connection', { contentLength: 'none' }],
  ['HTTP/1.0', { http10: true, contentLength: 'none' }],
])('#13 cut after any byte, by FIN or by RST, with %s: whole in the end', async (_name, options) => {
  for (const endWith of ['fin', 'rst'] as const) {
    const cuts = [0, 1, 1000, 65_535, 65_536, 65_537, 300_000, SIZE - 1];
    const script = cuts.map((truncateAt) => serve(file, { ...tagged, ...options, truncateAt, endWith }));
    await using origin = await startOrigin(inTurn(...script, serve(file, tagged)));
    await using rig = await makeRig({ url: origin.at('/file') });
    const outcome = await rig.settle(cuts.length + 2);
    expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
    expect(rig.told.restarts).toEqual([]);
  }
});

test('#13 a body that ends with its connection and was reset is never taken for whole, even where no range could tell', async () => {
  const answer = { ranges: 'ignore', contentLength: 'none', truncateAt: 300_000 } as const;
  for (const http10 of [true, false]) {
    await using origin = await startOrigin(() => serve(file, { ...answer, http10, endWith: 'rst' }));
    await using rig = await makeRig({ url: origin.at('/file') });
    expect(await rig.run()).toMatchObject({ kind: 'retry', error: { code: 'network' } });
    origin.script = () => serve(file, { ...answer, http10, truncateAt: SIZE });
    expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'unverified' });
  }
});

test('#13 #2 a body that ends with its connection and was cut, from a server whose ranges do not go with If-Range: asked for its end without', async () => {
  const cut = serve(file, { etag: '"1"', contentLength: 'none', status: 200, ranges: 'ignore', truncateAt: 300_000 });
  await using origin = await startOrigin(inTurn(cut, serve(file, { etag: '"1"', chunked: true, ranges: 'not-with-if-range' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle(5)).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
});

test('#13 #4 the same, where the answer to that is a part that does not say which: fetched anew', async () => {
  const cut = serve(file, { etag: '"1"', contentLength: 'none', status: 200, ranges: 'ignore', truncateAt: 300_000 });
  await using origin = await startOrigin(inTurn(cut, serve(file, { etag: '"1"', contentRange: () => null }), serve(file, { etag: '"1"', contentRange: () => 'items 0-1/2' }), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle(5)).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
});

test('#13 a server that cuts every 50 kB is outlived, although the overlap is longer', async () => {
  await using origin = await startOrigin(() => serve(file, { ...tagged, truncateAt: 50_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle(100)).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test.each<[string, string | Behaviour]>([
  ['#15 both CL and TE', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['#15 two CLs', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
  ['#15 a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
  ['#15 a length beyond 2^53', 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\nhello'],
  ['#28 HTTP/0.9', 'hello, this is a file\n'],
  ['#28 bare LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
  ['#28 NUL in a header', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello'],
  ['#28 a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello'],
  ['#28 more than 64 KiB of headers', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\nContent-Length: 5\r\n\r\nhello`],
  ['#28 1000 × 100 Continue', `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello`],
  ['1000 × 102 Processing', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000)}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello`],
  ['an upgrade that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ['#29 204', status(204)],
  ['304 out of the blue', status(304)],
  ['#29 an empty answer of unsaid length', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'],
  ['#29 multipart/byteranges', 'HTTP/1.1 206 Partial\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 5\r\n\r\nhello'],
  ['a redirect to nowhere', status(302)],
])('%s: a clear error, and nothing to claim', async (_name, answer) => {
  await using origin = await startOrigin(() => (typeof answer === 'string' ? raw(answer) : answer));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'malformed-answer', exitCode: 22, transient: false } });
  expect(rig.told.verifications).toBe(0);
});

test('#14 more bytes than announced are not taken', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', chunked: true, extraBytes: 10 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'malformed-answer' } });
});

test('#14 what follows the announced length is left on the wire', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', contentLength: SIZE, extraBytes: 100_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test.each<[string, ServeOptions]>([
  ['announced', {}],
  ['endless', { chunked: true, ranges: 'ignore', extraBytes: Infinity }],
])('#14 larger than --max-size, %s: stopped there', async (_name, options) => {
  await using origin = await startOrigin(() => serve(file, options));
  await using rig = await makeRig({ url: origin.at('/file'), maxSize: 599_999 });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'too-large', exitCode: 36 } });
});

test.each([SIZE - 1, SIZE + 1])('another size than --expect-size %i is refused, announced or not', async (expectSize) => {
  for (const chunked of [true, false]) {
    await using origin = await startOrigin(() => serve(file, { chunked, ranges: 'ignore' }));
    await using rig = await makeRig({ url: origin.at('/file'), expectSize });
    expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'wrong-size' } });
  }
});

test('#29 204 is the file where no bytes were expected', async () => {
  await using origin = await startOrigin(() => status(204));
  await using rig = await makeRig({ url: origin.at('/file'), expectSize: 0 });
  expect(await rig.run()).toMatchObject({ kind: 'complete', size: 0 });
});

test('#30 gzip although identity was asked is kept raw, and said', async () => {
  await using origin = await startOrigin(() => serve(file, { gzip: true }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', provenance: { contentEncoding: 'gzip' } });
  expect(gunzipSync(await rig.bytesOf(outcome)).equals(file)).toBe(true);
});

test.each<[number, string | undefined, number | null]>([
  [429, '7', 7000],
  [503, '99999999999', 6 * 3_600_000],
  [503, '-5', null],
  [503, 'soon', null],
  [429, undefined, null],
])('#18 %i with Retry-After %s pauses the host for %s ms', async (code, retryAfter, retryAfterMs) => {
  await using origin = await startOrigin(() => status(code, retryAfter === undefined ? {} : { retryAfter }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'retry', hostBusy: true, retryAfterMs, error: { code: 'overloaded', exitCode: 29 } });
});

test('#18 Retry-After as a date is obeyed', async () => {
  await using origin = await startOrigin(() => status(503, { retryAfter: new Date(Date.now() + 60_000).toUTCString() }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome.kind === 'retry' && outcome.retryAfterMs).toBeGreaterThan(50_000);
});

test.each([
  [408, 'http-status'],
  [425, 'http-status'],
  [500, 'overloaded'],
  [502, 'overloaded'],
  [504, 'overloaded'],
  [522, 'overloaded'],
])('#19 %i is tried again', async (code, error) => {
  await using origin = await startOrigin(inTurn(status(code), serve(file)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'retry', hostBusy: false, error: { code: error } });
  expect(await rig.run()).toMatchObject({ kind: 'complete' });
});

test.each([
  [400, 'http-status', 22],
  [401, 'auth', 24],
  [403, 'auth', 24],
  [404, 'not-found', 3],
  [410, 'not-found', 3],
  [451, 'http-status', 22],
])('%i at the start fails', async (code, error, exitCode) => {
  await using origin = await startOrigin(() => status(code));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: error, exitCode } });
});

test.each([
  [401, 'needs-auth'],
  [403, 'needs-auth'],
  [404, 'needs-url'],
  [410, 'needs-url'],
])('#20 %i with bytes here: asked once more from the start, then someone must help; the bytes stay', async (code, need) => {
  const first = serve(file, { ...tagged, truncateAt: 300_000 });
  await using origin = await startOrigin(inTurn(first, status(code), status(code), status(code), serve(file, tagged)));
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  expect(await rig.run()).toMatchObject({ kind: 'needs', code: need });
  expect(origin.log).toHaveLength(3);
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.refetched(SIZE)).toBeLessThan(100_000);
});

test('#20 a signed address that has expired is asked for anew at the original one', async () => {
  let signature = 0;
  await using origin = await startOrigin(({ path }) => {
    if (path === '/file') {
      signature += 1;
      return redirect(`/signed?s=${signature}`);
    }
    if (path === '/signed?s=1') return serve(file, { ...tagged, truncateAt: 300_000 });
    return path === '/signed?s=2' ? status(403) : serve(file, tagged);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.restarts).toEqual([]);
});

test.each<[string, Behaviour]>([
  ['slow headers', silence()],
  ['silence at 99 %', serve(file, { ...tagged, stallAt: 594_000 })],
  ['a trickle', serve(file, { ...tagged, bytesPerSecond: 100 })],
])('#26 %s: given up after the stall timeout, and only the rest is fetched', async (_name, behaviour) => {
  await using origin = await startOrigin(inTurn(behaviour, serve(file, tagged)));
  await using rig = await makeRig({ url: origin.at('/file'), stallTimeoutMs: 300 });
  expect(await rig.run()).toMatchObject({ kind: 'retry', error: { code: 'stalled', exitCode: 5, transient: true } });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('a limited rate is no stall', async () => {
  await using origin = await startOrigin(() => serve(file.subarray(0, 200_000), tagged));
  await using rig = await makeRig({ url: origin.at('/file'), stallTimeoutMs: 300 });
  rig.throttle.setRate(100_000);
  const startedAt = Date.now();
  expect(await rig.run()).toMatchObject({ kind: 'complete' });
  expect(Date.now() - startedAt).toBeGreaterThan(1000);
});

test('lifting the limit frees who waits', async () => {
  await using origin = await startOrigin(() => serve(file, tagged));
  await using rig = await makeRig({ url: origin.at('/file') });
  rig.throttle.setRate(1);
  const outcome = rig.run({ onProgress: ({ received }) => received > 0 && rig.throttle.setRate(null) });
  expect(await outcome).toMatchObject({ kind: 'complete' });
});

test.each<[string, 'fin' | 'rst']>([['closes', 'fin'], ['resets', 'rst']])('a server that %s without an answer is tried again', async (_name, how) => {
  await using origin = await startOrigin(() => hangUp(how));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: false, error: { code: 'network', exitCode: 6 } });
});

test('#32 nobody listening, no such name: tried again', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  await using refused = await makeRig({ url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/` });
  expect(await refused.run()).toMatchObject({ kind: 'retry', error: { code: 'network', transient: true } });
  await using unknown = await makeRig({ url: 'http://no-such-host.invalid/' });
  expect(await unknown.run()).toMatchObject({ kind: 'retry', error: { code: 'dns', exitCode: 19 } });
});

test('#27 a connection that is to close, reset while the rate limit holds it back, brings nobody down', async () => {
  const big = content('big', 8_000_000);
  let reset: (() => void) | null = null;
  await using origin = await startOrigin(() => async (exchange) => {
    reset = () => void exchange.close('rst');
    await exchange.head(200, [['Content-Length', String(big.length)], ['Connection', 'close'], ['ETag', '"1"']]);
    await exchange.body(big);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  rig.throttle.setRate(500_000);
  const outcome = await rig.run({ onProgress: ({ received }) => received > 100_000 && reset?.() });
  expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'network' } });
});

test('#25 a log-in page as the first answer is not the file; the file comes later', async () => {
  await using origin = await startOrigin(({ path }) => (path === '/file.iso' ? redirect('/login') : loginPage()));
  await using rig = await makeRig({ url: origin.at('/file.iso'), name: 'file.iso' });
  expect(await rig.run()).toMatchObject({ kind: 'retry', waitFor: 'portal', progressed: false, error: { transient: true } });
  expect(rig.told).toMatchObject({ verifications: 0, names: [] });
  origin.script = () => serve(file, tagged);
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.restarts).toEqual([]);
});

test('a page is the file where the address may be a page’s', async () => {
  await using origin = await startOrigin(() => loginPage());
  for (const name of ['index.html', 'latest']) {
    await using rig = await makeRig({ url: origin.at(`/${name}`), name });
    expect(await rig.run()).toMatchObject({ kind: 'complete' });
  }
});

test('#33 a proxy whose name does not resolve is not taken for the target', async () => {
  for (const scheme of ['http', 'https']) {
    const proxy = { [scheme]: 'http://no-such-proxy.invalid:3128' };
    await using rig = await makeRig({ url: `${scheme}://example.org/file` }, { proxy });
    const outcome = await rig.run();
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'proxy', transient: true } });
    expect(outcome.kind === 'retry' && outcome.error.message).toContain('name of the proxy');
  }
});

test('#44 dropping the sockets ends what is under way, and the next try connects anew', async () => {
  await using origin = await startOrigin(inTurn(serve(file, { ...tagged, stallAt: 300_000 }), serve(file, tagged)));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run({ onProgress: ({ received }) => received === 300_000 && rig.network.dropSockets() });
  expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'network' } });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});
