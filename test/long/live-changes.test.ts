import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { content, serve, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { figure } from '../support/scale.js';
import { until } from '../support/wait.js';

const MIB = 1 << 20;
const file = content('live changes', 48 * MIB);
const LASTS_MS = 10_000;
/** On a machine that does a dozen other things meanwhile; the figure tells what it was. On a quiet one it is within 3 %. */
const WITHIN = 0.2;
const SOON_MS = 5_000;

interface Said {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly received: number;
}

/** Bytes of all tasks, and when the worker said so. */
async function said(home: Home): Promise<Said> {
  const { at, tasks } = JSON.parse(await readFile(join(home.sessionDir(), 'progress.json'), 'utf8')) as { at: number; tasks: Record<string, { received: number }> };
  return { at, received: Object.values(tasks).reduce((sum, { received }) => sum + received, 0) };
}

async function rateOver(home: Home, milliseconds: number): Promise<number> {
  const first = await said(home);
  await delay(milliseconds);
  const last = await until('a later word', async () => {
    const now = await said(home);
    return now.at >= first.at + milliseconds && now;
  });
  return ((last.received - first.received) * 1000) / (last.at - first.at);
}

test('--limit-rate holds over all connections of a session, and set changes it at once', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }));
  await home.run(['start', '--limit-rate', '1M', '--connections', '4', origin.at('/a.bin'), origin.at('/b.bin')]);
  await until('bytes of both', async () => (await home.received(1)) > MIB && (await home.received(2)) > MIB, { deadlineMs: 30_000 });
  const slow = await rateOver(home, LASTS_MS);
  await home.run(['set', '--limit-rate', '3M']);
  await delay(1_000);
  const fast = await rateOver(home, LASTS_MS);
  figure('rate limit', `1 MiB/s: ${(slow / MIB).toFixed(3)}, then 3 MiB/s: ${(fast / MIB).toFixed(3)} over 10 s, 2 files over 4 connections each`);
  expect(Math.abs(slow / MIB - 1)).toBeLessThan(WITHIN);
  expect(Math.abs(fast / (3 * MIB) - 1)).toBeLessThan(WITHIN);
});

test('set --connections and --jobs act at once', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 256 * 1024 }));
  await home.run(['start', '--connections', '1', '--jobs', '1', origin.at('/a.bin'), origin.at('/b.bin')]);
  await until('bytes', async () => (await home.received()) > 0);
  const answering = (): number => origin.log.filter(({ ended }) => ended === 'open').length;
  const took = async (change: readonly string[], isSo: () => boolean | Promise<boolean>): Promise<number> => {
    const before = Date.now();
    await home.run(['set', ...change]);
    await until(change.join(' '), isSo);
    return Date.now() - before;
  };
  const times = [
    await took(['--connections', '4'], () => answering() === 4),
    await took(['--connections', '2'], () => answering() === 2),
    await took(['--jobs', '2'], () => answering() === 4),
    await took(['--jobs', '1'], () => answering() === 2),
  ];
  figure('live changes', `more connections, fewer, more jobs, fewer: ${times.join(', ')} ms from the command typed`);
  expect(Math.max(...times)).toBeLessThan(SOON_MS);
  expect((await home.status()).tasks[1]?.waiting.map(({ code }) => code)).toEqual(['jobs-limit']);
});

test('sessions share one budget of downloads at a server: the last to come has one, and says why the others wait', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 64 * 1024 }));
  const start = (id: string): Promise<unknown> => home.run(['start', '--id', id, ...['a', 'b', 'c'].map((name) => origin.at(`/${id}-${name}.bin`))]);
  await start('one');
  await start('two');
  const answering = (): string[] => origin.log.filter(({ ended }) => ended === 'open').map(({ path }) => path);
  await until('six downloads', () => new Set(answering()).size === 6);
  await until('both to have told', async () => (await readdir(join(home.dir, 'hosts', 'connections'))).length === 2);
  await start('three');
  const waiting = await until('the reason', async () => {
    const { tasks } = await home.status('three');
    const reasons = tasks.flatMap((task) => task.waiting);
    return reasons.length === 2 && reasons;
  });
  expect(waiting.map(({ code }) => code)).toEqual(['host-limit', 'host-limit']);
  expect(new Set(answering()).size).toBe(7);
  await until('all to keep to sixteen connections', () => answering().length <= 16);
});
