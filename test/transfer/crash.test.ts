import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createPart, openPart } from '../../src/store/part-file.js';
import { content, inTurn, serve, sha256, startOrigin } from '../support/origin.js';
import { makeRig, type Rig } from './rig.js';

const SIZE = 20_000_000;
const file = content('crash', SIZE);
const MIB = 1024 * 1024;

/** What a kill -9 at this instant would leave behind: bytes and records as the system has them. Returns what puts it back. */
async function snapshot(rig: Rig): Promise<() => Promise<void>> {
  const copy = await mkdtemp(join(tmpdir(), 'poste-snapshot-'));
  onTestFinished(() => rm(copy, { recursive: true, force: true }));
  // The record first: what is written meanwhile may be missing from it, never the other way round.
  const names = (await readdir(rig.temp.parts)).sort();
  for (const name of names) await cp(join(rig.temp.parts, name), join(copy, name));
  return async () => {
    await rm(rig.temp.parts, { recursive: true });
    await cp(copy, rig.temp.parts, { recursive: true });
  };
}

test('a worker killed at any instant fetches at most 1 MiB again, and the file is whole', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 60_000_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  for (const instant of [1, 3_000_000, 7_654_321, 15_000_000, SIZE - 1]) {
    await rig.forget();
    const stop = new AbortController();
    let killed: Promise<{ restore: () => Promise<void>; sent: number }> | null = null;
    const before = origin.bodyBytesSent;
    await rig.run({
      signal: stop.signal,
      onProgress: ({ received }) => {
        if (received < instant || killed !== null) return;
        killed = snapshot(rig).then((restore) => {
          stop.abort();
          return { restore, sent: origin.bodyBytesSent - before };
        });
      },
    });
    const crash = await (killed as Promise<{ restore: () => Promise<void>; sent: number }> | null);
    if (crash === null) throw new Error('the instant never came');
    await crash.restore();
    const after = origin.log.length;
    expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
    const [resumed] = origin.log.slice(after);
    // Taken by the system for sending is not received: the socket buffers of both sides are in it, for a loopback up to some MiB.
    if (resumed !== undefined) expect(resumed.range?.start).toBeGreaterThan(instant - MIB);
  }
});

test('#60 a full disk: waits, keeps what it has, and goes on when there is room', async (context) => {
  const body = file.subarray(0, 3_000_000);
  await using origin = await startOrigin(() => serve(body, { etag: '"1"' }));
  await using rig = await makeRig({ url: origin.at('/file') });
  await mkdir(rig.temp.parts);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', rig.temp.parts], { stdio: 'ignore' });
  } catch {
    context.skip('mounting a small file system takes root');
  }
  try {
    expect(await rig.run()).toMatchObject({ kind: 'retry', waitFor: 'disk-full', error: { code: 'disk-full', exitCode: 9, transient: true } });
    expect(await rig.run()).toMatchObject({ kind: 'retry', waitFor: 'disk-full' });
    execFileSync('mount', ['-o', 'remount,size=8m', rig.temp.parts]);
    expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(body) });
    expect(origin.log.at(-1)?.range?.start).toBeGreaterThan(500_000);
  } finally {
    execFileSync('umount', [rig.temp.parts]);
  }
});

test('#5 #40 a hole that a kill left is filled, also when the server never says how long the file is', async () => {
  const body = file.subarray(0, 1_000_000);
  const star = { etag: '"1"', contentRange: (first: number, last: number) => `bytes ${first}-${last}/*` };
  await using origin = await startOrigin(inTurn(serve(body, { ...star, truncateAt: 600_000 }), serve(body, star)));
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  const { part: first } = await openPart(rig.temp, 1, 'boot');
  if (first === null) throw new Error('no part');
  await first.close();
  const holed = await createPart(rig.temp, 1, 'boot', first.header);
  for (const [start, end] of [[0, 300_000], [303_000, 600_000]] as const) await holed.write([body.subarray(start, end)], start);
  await holed.close();
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(body) });
});

test('#66 a part that was deleted or damaged meanwhile: fetched anew, and said so', async () => {
  const body = file.subarray(0, 1_000_000);
  const cut = serve(body, { etag: '"1"', truncateAt: 600_000 });
  for (const harm of ['delete', 'shorten', 'lengthen', 'rubbish in the record'] as const) {
    await using origin = await startOrigin(inTurn(cut, serve(body, { etag: '"1"' })));
    await using rig = await makeRig({ url: origin.at('/file') });
    await rig.run();
    const part = rig.temp.part(1, 1);
    if (harm === 'delete') await unlink(part);
    if (harm === 'shorten') await truncate(part, 100_000);
    if (harm === 'lengthen') await truncate(part, 2_000_000);
    if (harm === 'rubbish in the record') await writeFile(rig.temp.extents(1, 1), 'rubbish\n'.repeat(100));
    const outcome = await rig.run();
    expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(body) });
    expect((await rig.bytesOf(outcome)).length).toBe(body.length);
    expect(rig.told.restarts).toHaveLength(harm === 'delete' || harm === 'rubbish in the record' ? 1 : 0);
  }
});

test('#65 zeros where a power cut lost bytes are never taken for the file', async () => {
  const body = file.subarray(0, 1_000_000);
  await using origin = await startOrigin(inTurn(serve(body, { etag: '"1"', truncateAt: 600_000 }), serve(body, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  const part = rig.temp.part(1, 1);
  await writeFile(part, Buffer.concat([(await readFile(part)).subarray(0, 590_000), Buffer.alloc(10_000)]));
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(body) });
  expect(rig.told.restarts).toHaveLength(1);
});

test('#67 a symbolic link in the place of the part is refused, its target untouched', async () => {
  const body = file.subarray(0, 1_000_000);
  await using origin = await startOrigin(() => serve(body, { etag: '"1"', truncateAt: 600_000 }));
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  const victim = join(rig.temp.parts, '..', 'victim');
  await writeFile(victim, 'precious');
  await unlink(rig.temp.part(1, 1));
  await symlink(victim, rig.temp.part(1, 1));
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'io', exitCode: 17 } });
  expect(await readFile(victim, 'utf8')).toBe('precious');
});

test('a folder that cannot be made is an error that names it', async () => {
  await using origin = await startOrigin(() => serve(file));
  await using rig = await makeRig({ url: origin.at('/file') });
  await writeFile(rig.temp.parts, 'a file');
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'io', message: expect.stringContaining(rig.temp.parts) as unknown } });
});

test('the version that is replaced stays until the new one has passed it', async () => {
  const older = content('older', 1_000_000);
  const newer = content('newer', 1_000_000);
  await using origin = await startOrigin(
    inTurn(
      serve(older, { etag: '"1"', truncateAt: 600_000 }),
      serve(newer, { etag: '"2"', truncateAt: 300_000 }),
      serve(newer, { etag: '"2"' }),
    ),
  );
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  await rig.run();
  expect((await stat(rig.temp.part(1, 1))).size).toBe(600_000);
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(newer) });
  expect((await readdir(rig.temp.parts)).sort()).toEqual(['1.2.extents', '1.2.part']);
});
