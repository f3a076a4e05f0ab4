import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { stays, until } from '../support/wait.js';

const MIB = 1 << 20;
const file = content('discretionary', 3 * MIB);
const slowly = serve(file, { etag: '"a"', bytesPerSecond: MIB });
/** Comes no further than three quarters. */
const partly = serve(file, { etag: '"a"', bytesPerSecond: 2 * MIB, stallAt: 0.75 * file.length });
/** Several polls and holds. */
const A_WHILE_MS = 1_500;

interface Machine {
  readonly env: Readonly<Record<string, string>>;
  readonly probe: (readings: object) => Promise<void>;
}

/** What the machine is said to be doing, to be changed at will. */
async function machine(home: Home, readings: object): Promise<Machine> {
  const path = join(home.root, 'probe.json');
  const probe = (next: object): Promise<void> => writeFile(path, JSON.stringify(next));
  await probe(readings);
  return { probe, env: { POSTE_PROBE_FILE: path, POSTE_POLICY_POLL: '0.1', POSTE_POLICY_HOLD: '0.2' } };
}

async function waitingFor(home: Home): Promise<string[]> {
  const { tasks } = await home.status();
  return tasks.flatMap(({ waiting }) => waiting.map(({ code }) => code)).sort();
}

test('on battery and in use nothing is fetched, and everyone can see why; on AC power it goes through', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  const { env, probe } = await machine(home, { ac: 'no', batteryPercent: 63, idleSeconds: 1 });
  expect((await home.run(['start', '--discretionary', origin.at('/file.bin')], { env })).code).toBe(0);
  await until('the reasons', async () => (await waitingFor(home)).join() === 'idle,power');
  expect(await home.status()).toMatchObject({ state: 'waiting', discretionary: true, tasks: [{ state: 'waiting' }] });
  await stays('the number of requests', () => origin.log.length, A_WHILE_MS);
  expect(origin.log).toEqual([]);

  const explained = await home.run(['status', '--explain'], { env });
  expect(explained.code).toBe(0);
  expect(explained.stdout).toMatch(/power|battery/i);
  expect(explained.stdout).toMatch(/idle/i);
  expect(explained.stdout).toContain('63');

  await probe({ ac: 'yes', batteryPercent: 63, idleSeconds: 1 });
  expect((await home.run(['attach'], { env })).code).toBe(0);
  expect(origin.refetched(file.length)).toBe(0);
});

test('an idle machine will do as well, unless AC power was asked for', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, { ac: 'no', idleSeconds: 100_000 });
  expect((await home.run(['start', '--wait', '--discretionary', origin.at('/a.bin')], { env })).code).toBe(0);
  await home.run(['start', '--discretionary', '--when', 'ac', '--id', 'ac', origin.at('/b.bin')], { env });
  await until('the reason', async () => (await home.status('ac')).waiting.map(({ code }) => code).join() === 'power');
  expect(origin.log.every(({ path }) => path === '/a.bin')).toBe(true);
});

test('power lost in the middle stops the transfer; when it is back it goes on where it was', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  const { env, probe } = await machine(home, { ac: 'yes', idleSeconds: 1 });
  await home.run(['start', '--discretionary', origin.at('/file.bin')], { env });
  await until('some bytes', async () => ((await home.status()).tasks[0]?.bytesReceived ?? 0) > MIB / 2);
  await probe({ ac: 'no', idleSeconds: 1 });
  await until('the transfer to stop', () => origin.open === 0);
  await until('the reasons', async () => (await waitingFor(home)).includes('power'));
  await stays('the number of requests', () => origin.log.length, A_WHILE_MS);
  expect((await home.status()).tasks[0]?.bytesReceived).toBeGreaterThan(MIB / 2);

  origin.script = () => serve(file, { etag: '"a"' });
  await probe({ ac: 'yes', idleSeconds: 1 });
  expect((await home.run(['attach'], { env })).code).toBe(0);
  await home.run(['claim']);
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
  expect(origin.refetched(file.length)).toBeLessThanOrEqual(MIB);
});

test('what cannot be told counts as met; a probe file that is rubbish stops nothing', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, {});
  expect((await home.run(['start', '--wait', '--discretionary', origin.at('/a.bin')], { env })).code).toBe(0);
  await writeFile(join(home.root, 'probe.json'), '{"ac": "no"');
  expect((await home.run(['start', '--wait', '--discretionary', origin.at('/b.bin')], { env })).code).toBe(0);
});

test('--only-if: runs while the command says so, in the directory where it was typed', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  const { env } = await machine(home, {});
  const allowed = join(home.cwd, 'allowed');
  await home.run(['start', '--only-if', 'test -e allowed', origin.at('/file.bin')], { env });
  await until('the reason', async () => (await waitingFor(home)).join() === 'only-if');
  expect(origin.log).toEqual([]);
  await writeFile(allowed, '');
  await until('some bytes', async () => ((await home.status()).tasks[0]?.bytesReceived ?? 0) > MIB / 2);
  await rm(allowed);
  await until('the transfer to stop', () => origin.open === 0);
  await until('the reason', async () => (await waitingFor(home)).join() === 'only-if');
  origin.script = () => serve(file, { etag: '"a"' });
  await writeFile(allowed, '');
  expect((await home.run(['attach'], { env })).code).toBe(0);
  expect(origin.refetched(file.length)).toBeLessThanOrEqual(MIB);
});

test('--only-unmetered waits while the network costs; resume --now goes ahead all the same', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, { metered: 'yes' });
  await home.run(['start', '--only-unmetered', origin.at('/file.bin')], { env });
  await until('the reason', async () => (await waitingFor(home)).join() === 'metered');
  expect(origin.log).toEqual([]);
  expect((await home.run(['resume', '--now'], { env })).code).toBe(0);
  expect((await home.run(['attach'], { env })).code).toBe(0);
  expect((await home.journal()).find(({ type }) => type === 'task.resumed')).toMatchObject({ now: true });
});

test('--not-before waits for its time, and says until when', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, {});
  const before = Date.now();
  await home.run(['start', '--id', 'late', '--not-before', 'now+1h', origin.at('/late.bin')], { env });
  const reason = await until('the reason', async () => (await home.status('late')).tasks[0]?.waiting[0]);
  expect(reason.code).toBe('not-before');
  expect(Math.abs(Date.parse(reason.nextCheckAt ?? '') - before - 3_600_000)).toBeLessThan(60_000);
  expect((await home.run(['start', '--wait', '--not-before', 'now+1s', origin.at('/soon.bin')], { env })).code).toBe(0);
  expect(origin.log.map(({ path }) => path)).toEqual(['/soon.bin']);
});

test('--not-before begins when it said, however seldom conditions are looked at', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, {});
  const begun = await home.run(['start', '--wait', '--not-before', 'now+2s', origin.at('/soon.bin')], { env: { ...env, POSTE_POLICY_POLL: '600' } });
  expect(begun.code).toBe(0);
});

test('a download that was not asked to wait for power does not', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { env } = await machine(home, { ac: 'no', idleSeconds: 0, metered: 'yes', lowPower: 'yes' });
  expect((await home.run(['start', '--wait', origin.at('/file.bin')], { env })).code).toBe(0);
});

test('set changes the conditions of what is under way, and takes them away', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  const { env } = await machine(home, { ac: 'no', idleSeconds: 1 });
  await home.run(['start', origin.at('/file.bin')], { env });
  await until('some bytes', async () => (await home.received()) > MIB / 2);
  expect((await home.run(['set', '--discretionary'])).code).toBe(0);
  await until('the transfer to stop', () => origin.open === 0);
  await until('the reasons', async () => (await waitingFor(home)).join() === 'idle,power');
  expect((await home.run(['set', '--only-if', 'false', '--no-discretionary'])).code).toBe(0);
  await until('the other reason', async () => (await waitingFor(home)).join() === 'only-if');
  origin.script = () => serve(file, { etag: '"a"' });
  expect((await home.run(['set', '--only-if', ''])).code).toBe(0);
  expect((await home.run(['attach'], { env })).code).toBe(0);
  expect(await home.run(['set', '--no-discretionary', '--when', 'ac'])).toMatchObject({ code: 2 });
});
