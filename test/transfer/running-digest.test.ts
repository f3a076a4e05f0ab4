import { appendFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RunningDigest } from '../../src/transfer/running-digest.js';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeRig } from './rig.js';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
const bytes = content('digest', 24 * MIB);

function tempFile(): AsyncDisposable & { readonly path: string } {
  const path = join(tmpdir(), `poste-digest-${process.pid}-${Math.random()}`);
  return { path, [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}

test('a file that is followed while it grows has the digest of all of it', async () => {
  await using file = tempFile();
  await writeFile(file.path, bytes.subarray(0, 8 * MIB));
  const running = new RunningDigest(file.path, ['sha256', 'sha512']);
  running.advance(8 * MIB);
  await appendFile(file.path, bytes.subarray(8 * MIB));
  running.advance(20 * MIB);
  const digests = await running.finish(bytes.length, never);
  running.close();
  expect(digests?.[0]).toBe(sha256(bytes));
  expect(digests?.[1]).toMatch(/^[0-9a-f]{128}$/);
});

test('several are followed side by side, and one that cannot be read has none', async () => {
  await using one = tempFile();
  await using other = tempFile();
  await Promise.all([writeFile(one.path, bytes), writeFile(other.path, bytes.subarray(MIB))]);
  const all = [new RunningDigest(one.path, ['sha256']), new RunningDigest(other.path, ['sha256']), new RunningDigest(`${one.path}.not`, ['sha256'])];
  for (const running of all) running.advance(5 * MIB);
  // The second one is shorter than is said of it.
  const digests = await Promise.all(all.map((running) => running.finish(bytes.length, never)));
  for (const running of all) running.close();
  expect(digests).toEqual([[sha256(bytes)], null, null]);
  await expect(all[0]?.finish(bytes.length, never)).resolves.toBe(null);
});

test('whoever stops waiting is not kept', async () => {
  await using file = tempFile();
  await writeFile(file.path, bytes);
  const running = new RunningDigest(file.path, ['sha256']);
  const stop = new AbortController();
  const finished = running.finish(bytes.length, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(finished).rejects.toThrow('stopped');
  running.close();
});

test.each([1, 4])('a download over %i connections has the digest of its bytes, also when it began in an earlier attempt', async (connections) => {
  await using origin = await startOrigin(({ n }) => serve(bytes, { etag: '"1"', ...(n === 1 ? { truncateAt: 18 * MIB } : {}) }));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: { algorithm: 'sha256', hex: sha256(bytes) } });
  const outcome = await rig.settle(20, { connections });
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(bytes), size: bytes.length });
});
