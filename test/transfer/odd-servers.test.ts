import { expect, test } from 'vitest';
import { continuedBy, headerOf } from '../../src/transfer/part-header.js';
import type { Asked } from '../../src/transfer/ask.js';
import { content, inTurn, loginPage, raw, serve, sha256, startOrigin, status, type Behaviour, type ServeOptions } from '../support/origin.js';
import { makeRig } from './rig.js';

/** Servers from which the file can be had, though not at the first try or not in the first way. */

const MIB = 1 << 20;
const OLD = new Date(Date.now() - 3_600_000);
const file = content('odd servers', 3 * MIB);
const digest = { algorithm: 'sha256', hex: sha256(file) } as const;

test('#8 nodes that each have an ETag of their own for the same bytes: nothing broke, so nothing is begun anew', async () => {
  const large = content('nodes', 24 * MIB);
  await using origin = await startOrigin(({ connection }) => serve(large, { etag: `"node-${connection % 2}"`, bytesPerSecond: 4 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run({ connections: 'auto' })).toMatchObject({ kind: 'complete', sha256: sha256(large) });
  expect(rig.told.restarts).toEqual([]);
});

test('#10 nodes that have other bytes under the same ETag: pieces of both are seen to differ, then the file is fetched over one connection', async () => {
  const [one, other] = [content('node one', 24 * MIB), content('node two', 24 * MIB)];
  await using origin = await startOrigin(({ connection }) => serve(connection % 2 === 1 ? one : other, { etag: '"1"', bytesPerSecond: 4 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run({ connections: 4 });
  expect(outcome).toMatchObject({ kind: 'complete' });
  expect([one, other].map(sha256)).toContain(outcome.kind === 'complete' ? outcome.sha256 : '');
  expect(rig.told.restarts).toHaveLength(1);
});

test('#7 a file that changed under weak ETags and an old date, its bytes the same where they are compared: fetched anew', async () => {
  const changed = Buffer.concat([content('changed', MIB), file.subarray(MIB)]);
  const options: ServeOptions = { lastModified: OLD, etag: 'W/"2"' };
  await using origin = await startOrigin(inTurn(serve(file, { ...options, etag: 'W/"1"', truncateAt: 2 * MIB }), serve(changed, options)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(changed) });
});

test('#13 everything from one byte on is cut: what is compared again is no progress', async () => {
  const blocked = (exchange: Parameters<Behaviour>[0]): ReturnType<Behaviour> =>
    serve(file, { etag: '"1"', truncateAt: Math.max(1, 300_000 - (exchange.request.range?.start ?? 0)) })(exchange);
  await using origin = await startOrigin(() => blocked);
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true });
  await rig.run();
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: false });
});

test('#11 #13 a file that cannot be resumed and always breaks at the same place: fetched again so far is no progress', async () => {
  await using origin = await startOrigin(() => serve(file, { truncateAt: 2 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true });
  expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: false });
});

test('#28 what was wrong with one of several connections is forgotten when the server turns all of them away', async () => {
  const large = content('turned away', 24 * MIB);
  await using origin = await startOrigin(({ n }) => {
    if (n === 3) return raw('too many connections\r\n');
    return n > 3 ? status(503, { retryAfter: '7' }) : serve(large, { etag: '"1"', bytesPerSecond: 8 * MIB, truncateAt: 6 * MIB });
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run({ connections: 3 })).toMatchObject({ kind: 'retry', hostBusy: true, retryAfterMs: 7000 });
});

test('#13 a body that ends with its connection and is not the digest’s may have been cut: fetched again', async () => {
  const options: ServeOptions = { ranges: 'ignore', contentLength: 'none' };
  await using origin = await startOrigin(inTurn(serve(file, { ...options, truncateAt: MIB }), serve(file, options)));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test.each([false, true])('#25 a log-in page in place of a file whose digest is known (nothing asked before: %s): asked again later, as without one', async (isFresh) => {
  await using origin = await startOrigin(inTurn(loginPage(), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file.iso'), name: 'file.iso', namedBy: 'url', checksum: digest });
  expect(await rig.run({ isFresh })).toMatchObject({ kind: 'retry', waitFor: 'portal' });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('a 206 to If-Range that leaves out the date it had told before (RFC 9110, 15.3.7): asked without If-Range, it tells', async () => {
  const withDate: ServeOptions = { lastModified: OLD };
  await using origin = await startOrigin(({ n, headers }) => {
    if (!headers.has('if-range')) return serve(file, n === 1 ? { ...withDate, truncateAt: MIB } : withDate);
    return serve(file, { ranges: 'despite-if-range' });
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.restarts).toEqual([]);
});

test.each([
  ['gzip, chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ['gzip', 'hello'],
  ['chunked, identity', '5\r\nhello\r\n'],
])('a body with Transfer-Encoding: %s is refused: neither its bytes nor its end are the file’s', async (coding, body) => {
  await using origin = await startOrigin(() => raw(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\nConnection: close\r\n\r\n${body}`));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect((await rig.run()).kind).not.toBe('complete');
});

test('two Content-Encodings are none that can be resumed', async () => {
  const fields: ServeOptions = { etag: '"1"', extraHeaders: [['Content-Encoding', 'gzip'], ['Content-Encoding', 'gzip']] };
  await using origin = await startOrigin(() => serve(file, { ...fields, ranges: 'ignore' }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', provenance: { contentEncoding: 'gzip, gzip' } });
});

test.each([400, 403, 405, 406, 501])('a server that answers %i to any Range is asked without', async (code) => {
  await using origin = await startOrigin(({ headers }) => (headers.has('range') ? status(code) : serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log).toHaveLength(2);
});

test('that one join was made on the strength of the digest alone is not forgotten after fifty others', () => {
  const asked = { answer: { validators: { etag: null, lastModified: null, dateIsStrong: false }, status: 206, etag: null, lastModified: null, contentType: null, contentEncoding: null }, hosts: ['h'], tls: 'none' } as unknown as Asked;
  let header = headerOf(asked, 1000, 0);
  for (let offset = 1; offset <= 80; offset += 1) header = continuedBy(header, asked, { offset, proof: offset === 3 ? 'digest' : 'etag', overlap: 0, compared: null });
  expect(header.provenance.resumes.length).toBeLessThanOrEqual(51);
  expect(header.provenance.resumes.some(({ proof }) => proof === 'digest')).toBe(true);
});
