import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { finishWhole, undoFinish } from '../../src/store/finished.js';
import { content, inTurn, serve, sha256, startOrigin } from '../support/origin.js';
import { makeRig } from './rig.js';

const file = content('small', 40_000);

test('a small file that nothing is here of comes whole, and leaves nothing on disk', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: { algorithm: 'sha256', hex: sha256(file) } });
  const outcome = await rig.run({ isFresh: true });
  expect(outcome).toMatchObject({ kind: 'complete', size: file.length, sha256: sha256(file), length: 'verified', provenance: { status: 206 } });
  expect(outcome.kind === 'complete' && 'bytes' in outcome && Buffer.concat(outcome.bytes).equals(file)).toBe(true);
  expect(await readdir(rig.temp.dir)).toEqual([]);
  expect(rig.told).toMatchObject({ names: ['file'], verifications: 1 });
  expect(origin.log.length).toBe(1);
});

test('#13 one that breaks off is kept and gone on with', async () => {
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"a"', truncateAt: 30_000 }), serve(file, { etag: '"a"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run({ isFresh: true })).toMatchObject({ kind: 'retry', progressed: true, error: { code: 'network' } });
  const outcome = await rig.run({ hadBytes: true });
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), provenance: { resumes: [{ offset: 30_000, proof: 'etag' }] } });
  expect((await rig.bytesOf(outcome)).equals(file)).toBe(true);
});

test('stopped half way, what had come is kept', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', bytesPerSecond: 40_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const stop = new AbortController();
  const stopped = await rig.run({ isFresh: true, signal: stop.signal, onProgress: ({ received }) => received > 0 && stop.abort() });
  expect(stopped).toEqual({ kind: 'stopped' });
  expect(await readdir(rig.temp.parts)).toEqual(['1.1.extents', '1.1.part']);
});

test('a wrong digest, or more bytes than were announced, make no file', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: { algorithm: 'sha256', hex: '0'.repeat(64) } });
  expect(await rig.run({ isFresh: true })).toMatchObject({ kind: 'failed', error: { code: 'checksum' } });
  await using wrong = await makeRig({ url: origin.at('/file'), expectSize: 39_999 });
  expect(await wrong.run({ isFresh: true })).toMatchObject({ kind: 'failed', error: { code: 'wrong-size' } });
});

test('what was put in its place and not told of goes, with its folder', async () => {
  await using rig = await makeRig({});
  const { file: path } = await finishWhole(rig.temp, 1, [file.subarray(0, 10), file.subarray(10)], 'small.bin');
  expect((await readFile(path)).equals(file)).toBe(true);
  await expect(finishWhole(rig.temp, 1, [file], 'small.bin')).rejects.toMatchObject({ code: 'io' });
  await undoFinish(rig.temp, 1);
  expect(await readdir(rig.temp.finished)).toEqual([]);
});
