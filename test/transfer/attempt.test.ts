import { expect, test } from 'vitest';
import { content, inTurn, serve, sha256, startOrigin } from '../support/origin.js';
import { makeRig } from './rig.js';

const file = content('attempt', 3_000_000);
const OLD = new Date(Date.now() - 3_600_000);

test('#21 one request brings the whole file, verified', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', size: file.length, sha256: sha256(file), length: 'verified', name: 'file' });
  expect((await rig.bytesOf(outcome)).equals(file)).toBe(true);
  expect(origin.log.map(({ method }) => method)).toEqual(['GET']);
  expect(origin.log[0]?.headers.get('accept-encoding')).toBe('identity');
  expect(origin.log[0]?.headers.get('range')).toBe('bytes=0-');
  expect(rig.told.representations).toEqual([{ total: file.length, resumable: true, evidence: 'etag' }]);
  expect(rig.told.verifications).toBe(1);
});

test.each([
  ['a server without ranges', { ranges: 'ignore' as const }, 'verified'],
  ['chunked', { chunked: true, ranges: 'ignore' as const }, 'verified'],
  ['#13 a body that ends with its connection, where ranges tell the size', { contentLength: 'none' as const, etag: '"a"' }, 'verified'],
  ['#13 the same over HTTP/1.0', { http10: true, contentLength: 'none' as const, lastModified: OLD }, 'verified'],
  ['#13 a body that ends with its connection, where nothing tells the size', { contentLength: 'none' as const, ranges: 'ignore' as const }, 'unverified'],
])('%s: the file is whole, its length %s', async (_name, options, length) => {
  await using origin = await startOrigin(() => serve(file, options));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), length });
});

test('#29 a file without bytes is a file', async () => {
  await using origin = await startOrigin(() => serve(Buffer.alloc(0), { etag: '"a"' }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', size: 0, sha256: sha256(Buffer.alloc(0)) });
});

test('#13 a broken connection costs the overlap and no more', async () => {
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"a"', truncateAt: 2_000_000 }), serve(file, { etag: '"a"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.refetched(file.length)).toBe(64 * 1024);
  expect(origin.log[1]?.headers.get('if-range')).toBe('"a"');
  expect(outcome).toMatchObject({ provenance: { resumes: [{ offset: 2_000_000, proof: 'etag', overlapCompared: 65536 }] } });
});

test('stopping keeps every byte that was counted', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', bytesPerSecond: 4_000_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const stop = new AbortController();
  let counted = 0;
  const stopped = await rig.run({
    signal: stop.signal,
    onProgress: ({ received }) => {
      counted = received;
      if (received > 500_000) stop.abort();
    },
  });
  expect(stopped).toEqual({ kind: 'stopped' });
  const requests = origin.log.length;
  expect(await rig.run({ bootId: 'after a power cut' })).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log[requests]?.range?.start).toBe(counted - 64 * 1024);
});
