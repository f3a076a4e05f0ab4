import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, sha256, startOrigin, type Behaviour } from '../support/origin.js';
import { kill, makeHome, type Home } from '../support/poste.js';
import { Machine, noPowerCuts } from '../support/power.js';
import { noSmallDisk, SmallDisk } from '../support/small-disk.js';
import { stays, until } from '../support/wait.js';

const MIB = 1 << 20;
const env = { POSTE_BACKOFF: '0.02' };
const noStrace = spawnSync('strace', ['-V']).status === 0 ? null : 'no strace';
const file = content('small disk', 4.5 * MIB);

/** Sends the head and the first bytes, and the rest once it is let go. */
function held(body: Buffer, letGo: Promise<void>): Behaviour {
  return async (exchange) => {
    const start = exchange.request.range?.start ?? 0;
    const range = start === 0 ? [] : [['Content-Range', `bytes ${start}-${body.length - 1}/${body.length}`] as const];
    await exchange.head(start === 0 ? 200 : 206, [['Accept-Ranges', 'bytes'], ['ETag', '"1"'], ['Content-Length', String(body.length - start)], ...range]);
    await exchange.body(body.subarray(start, start + MIB));
    await letGo;
    await exchange.body(body.subarray(start + MIB));
  };
}

/** Resolves with what `status` says of it. */
async function waitsForRoom(home: Home, id = 'default'): Promise<string> {
  const deadline = { deadlineMs: 45_000 };
  // The journal is read for less than a command costs.
  await until(`${id} to find no room`, async () => JSON.stringify(await home.journal(id)).includes('"disk-full"'), deadline);
  const reason = async (): Promise<string | undefined> => (await home.status(id)).tasks[0]?.waiting.find(({ code }) => code === 'disk-full')?.message;
  return until(`${id} to say so`, reason, deadline);
}

/** Resolves with its process id when it has begun to write. */
async function receives(home: Home, bytes: number, id = 'default'): Promise<number> {
  await until(`${id} to have ${bytes} bytes`, async () => (await stat(join(home.sessionDir(id), 'parts/1.1.part'))).size >= bytes);
  const started = (await home.journal(id)).find(({ type }) => type === 'worker.started');
  return Number(started?.['pid']);
}

test.skipIf(noSmallDisk)(
  `#60 two sessions and a disk for one: the second waits, asks for nothing, and goes on by itself (${noSmallDisk ?? 'a tmpfs of 8 MiB'})`,
  async () => {
    await using disk = await SmallDisk.make(8 * 1024);
    await using home = await makeHome();
    let letGo = (): void => undefined;
    const released = new Promise<void>((resolve) => (letGo = resolve));
    await using origin = await startOrigin(({ path }) => (path === '/first' ? held(file, released) : serve(file, { etag: '"1"' })));
    const asked = (): number => origin.log.filter(({ path }) => path === '/second').length;
    await home.run(['start', '--id', 'first', '--temp-dir', disk.path, origin.at('/first')], { env });
    await until('the first to have begun', () => origin.bodyBytesSent > 0);

    await home.run(['start', '--id', 'second', '--temp-dir', disk.path, origin.at('/second')], { env });
    expect(await waitsForRoom(home, 'second')).toMatch(/^4\.5 MiB are still to come, other downloads there 3\.\d MiB, and \d\.\d MiB are free/);
    await stays('how often it was asked for', asked, 1200);
    expect(asked()).toBe(1);

    letGo();
    expect((await home.run(['claim', '--id', 'first', '--wait'], { env })).code).toBe(0);
    expect((await home.run(['claim', '--id', 'second', '--wait'], { env })).code).toBe(0);
    for (const name of ['first', 'second']) expect(sha256(await readFile(join(home.cwd, name)))).toBe(sha256(file));
    expect(asked()).toBe(2);
  },
);

test.skipIf(noSmallDisk)(`#14 #60 a body without end stops before the disk is full, and the state goes on (${noSmallDisk ?? 'a tmpfs of 6 MiB'})`, async () => {
  await using disk = await SmallDisk.make(6 * 1024);
  await using home = await makeHome({ under: disk.path });
  await using origin = await startOrigin(() => serve(file, { ranges: 'ignore', chunked: true, extraBytes: Infinity }));
  await home.run(['start', origin.at('/endless')], { env });
  expect(await waitsForRoom(home)).toMatch(/no room left in .*: the last 384\.0 KiB stay free/);
  const { bavail, bsize } = await statfs(disk.path);
  expect(bavail * bsize).toBeGreaterThan(128 * 1024);
  expect((await home.run(['cancel', '--purge'], { env })).code).toBe(0);
  expect(await readdir(join(home.sessionDir(), 'parts'))).toEqual([]);
});

for (const owner of ['its worker', 'the command itself']) {
  test.skipIf(noSmallDisk)(`#61 a disk without a free block keeps the old state, and can be made room on by ${owner} (${noSmallDisk ?? 'tmpfs'})`, async () => {
    await using disk = await SmallDisk.make(4 * 1024);
    await using home = await makeHome({ under: disk.path });
    await using origin = await startOrigin(() => serve(file.subarray(0, 2 * MIB), { etag: '"1"', stallAt: MIB }));
    await home.run(['start', origin.at('/file')], { env });
    const worker = await receives(home, MIB);
    if (owner === 'the command itself') kill(worker);
    await disk.fill();
    const before = await home.journal();
    expect((await home.run(['start', origin.at('/other')], { env })).code).toBe(9);
    expect(await home.run(['status'])).toMatchObject({ code: 0, stderr: '' });
    expect(await home.journal()).toEqual(before);

    expect((await home.run(['cancel', '--purge'], { env })).code).toBe(0);
    expect(await readdir(join(home.sessionDir(), 'parts'))).toEqual([]);
    expect((await home.status()).tasks[0]?.state).toBe('cancelled');
    // For the next time.
    expect((await stat(join(home.dir, 'reserve'))).size).toBe(128 * 1024);
  });
}

test.skipIf(noStrace)(`#60 a quota is a full disk: it goes on by itself when there is room (${noStrace ?? 'EDQUOT, by strace'})`, async () => {
  await using home = await makeHome();
  let letGo = (): void => undefined;
  const released = new Promise<void>((resolve) => (letGo = resolve));
  await using origin = await startOrigin(() => held(file, released));
  await home.run(['start', origin.at('/file')], { env });
  const worker = await receives(home, MIB);
  const quota = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-e', 'inject=pwrite64,pwritev:error=EDQUOT', '-p', String(worker)], { stdio: 'ignore' });
  await until('strace to have it', async () => !(await readFile(`/proc/${worker}/status`, 'utf8')).includes('TracerPid:\t0\n'));
  letGo();
  await waitsForRoom(home);
  quota.kill('SIGTERM');
  await once(quota, 'exit');
  expect((await home.run(['claim', '--wait'], { env })).code).toBe(0);
  expect(sha256(await readFile(join(home.cwd, 'file')))).toBe(sha256(file));
});

test.skipIf(noPowerCuts)(`#63 a disk that turns read-only half way: status works, and after a repair the file is right (${noPowerCuts ?? 'ext4'})`, async () => {
  await using machine = await Machine.make(64, 'errors=remount-ro');
  const home = await makeHome({ under: machine.state, enter: machine.enter });
  await home.sh('sync');
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 2 * MIB }));
  expect((await home.run(['start', origin.at('/file')], { env })).code).toBe(0);
  const worker = await receives(home, 1);
  await machine.damage();
  await until('the worker to leave', () => !existsSync(`/proc/${worker}`), { deadlineMs: 45_000 });
  expect(await home.run(['status', '--exit-code'])).toMatchObject({ code: 7, stderr: '' });
  expect(await home.run(['pause'], { env })).toMatchObject({ code: 17, stdout: '' });

  await machine.boot();
  expect((await home.run(['attach'], { env })).code).toBe(0);
  const claimed = await home.run(['claim', '--to', machine.shelf]);
  expect(sha256(await readFile(claimed.stdout.trim()))).toBe(sha256(file));
});
