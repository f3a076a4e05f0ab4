import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, hangUp, inTurn, redirect, serve, sha256, startOrigin, status, type Behaviour } from '../support/origin.js';
import { makeHome, type EventAnswer } from '../support/poste.js';
import { until } from '../support/wait.js';

const SIZE = 600_000;
const file = content('retries', SIZE);
const good = serve(file, { etag: '"1"' });
const QUICK = { POSTE_BACKOFF: '0.02' };

const failures = (journal: readonly EventAnswer[]): EventAnswer[] => journal.filter(({ type }) => type === 'task.retrying');

test('#18 a server that asks to be left alone is, by every task and session, and others go on', async () => {
  await using home = await makeHome();
  await using busy = await startOrigin(({ path }) => status(path === '/a.bin' ? 429 : 503, { retryAfter: 7200 }));
  await using other = await startOrigin(() => good);
  await home.run(['start', '--jobs', '1', busy.at('/a.bin'), busy.at('/b.bin'), other.at('/c.bin')], { env: QUICK });
  await until('the other server’s file', async () => (await home.status()).tasks[2]?.state === 'finished');
  const { tasks } = await home.status();
  for (const { state, waiting } of tasks.slice(0, 2)) {
    expect(state).toBe('waiting');
    expect(new Set(waiting.map(({ code }) => code))).toEqual(new Set(['retry-after']));
    const until = Date.parse(waiting[0]?.nextCheckAt ?? '') - Date.now();
    expect(until).toBeGreaterThan(7_000_000);
    expect(until).toBeLessThan(7_300_000);
  }
  expect(busy.log).toHaveLength(1);
  await home.run(['start', '--id', 'second', busy.at('/d.bin')], { env: QUICK });
  await until('the reason', async () => (await home.status('second')).waiting.some(({ code }) => code === 'retry-after'));
  expect(busy.log).toHaveLength(1);
});

test('#18 one address that always answers "later" does not keep the others of its server waiting for good', async () => {
  const env = { POSTE_BACKOFF: '1' };
  await using home = await makeHome();
  await using origin = await startOrigin(({ path }) => (path === '/busy.bin' ? status(503, { retryAfter: 2 }) : good));
  await home.run(['start', origin.at('/busy.bin')], { env });
  await until('the first refusal', () => origin.log.length > 0);
  await home.run(['start', origin.at('/same.bin')], { env });
  await home.run(['start', '--id', 'other', origin.at('/other.bin')], { env });
  await until('the file of the same session', async () => (await home.status()).tasks[1]?.state === 'finished', { deadlineMs: 60_000 });
  await until('that of another one', async () => (await home.status('other')).state === 'settled', { deadlineMs: 60_000 });
});

test.each(['-5', 'soon', '0', new Date(Date.now() - 60_000).toUTCString()])('#18 Retry-After: %s is no time to wait: back-off, and through in the end', async (retryAfter) => {
  await using home = await makeHome();
  await using origin = await startOrigin(inTurn(status(503, { retryAfter }), status(429, { retryAfter }), good));
  expect((await home.run(['start', '--wait', origin.at('/a.bin')], { env: QUICK })).code).toBe(0);
  const reasons = failures(await home.journal()).map(({ reason }) => (reason as { code: string }).code);
  expect(reasons).toEqual(['backoff', 'backoff']);
});

test('#19 whatever passes by itself is tried again after a back-off that says until when', async () => {
  const codes = [408, 425, 500, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527];
  const script = new Map(codes.map((code) => [`/${code}`, inTurn(status(code), status(code), good)]));
  await using home = await makeHome();
  await using origin = await startOrigin((request) => script.get(request.path)?.(request) ?? status(404));
  const result = await home.run(['start', '--wait', ...codes.map((code) => origin.at(`/${code}`))], { env: QUICK });
  expect({ code: result.code, stderr: result.stderr.match(/failed.*/)?.[0] }).toEqual({ code: 0 });
  const tries = failures(await home.journal());
  expect(tries).toHaveLength(2 * codes.length);
  for (const { reason, error } of tries) {
    expect(reason).toMatchObject({ code: 'backoff', nextCheckAt: expect.any(Number) as unknown });
    expect(error).toMatchObject({ transient: true });
  }
});

test('#20 a link that has expired with bytes here: asked for at the original address, then waits for a new one, and goes on with it', async () => {
  await using home = await makeHome();
  let link = 0;
  const signed = (path: string): Behaviour => (path === '/signed1' ? serve(file, { etag: '"1"', truncateAt: 400_000 }) : status(410));
  await using origin = await startOrigin(({ path }) => {
    if (path === '/file.bin') return redirect(`/signed${(link += 1)}`);
    return path === '/new.bin' ? good : signed(path);
  });
  expect((await home.run(['start', '--wait', origin.at('/file.bin')], { env: QUICK })).code).toBe(3);
  const [task] = (await home.status()).tasks;
  expect(task).toMatchObject({ state: 'waiting', bytesReceived: 400_000, waiting: [{ code: 'needs-url', nextCheckAt: null }] });
  expect(task?.waiting[0]?.message).toMatch(/410.*400000 bytes are kept/);
  expect(origin.log.map(({ path }) => path)).toEqual(['/file.bin', '/signed1', '/file.bin', '/signed2', '/file.bin', '/signed3']);
  expect((await home.run(['set', '1', '--url', origin.at('/new.bin')])).code).toBe(0);
  expect((await home.run(['attach'], { env: QUICK })).code).toBe(0);
  expect(origin.log.at(-1)).toMatchObject({ path: '/new.bin', range: { start: 400_000 - 65_536 } });
  await home.run(['claim']);
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
});

const TURNED_DOWN: Readonly<Record<string, Behaviour>> = { '429': status(429), '503': status(503), reset: hangUp('rst'), closed: hangUp('fin') };

test('#34 servers that serve one connection and turn others down, each in its way: one at a time from then on, and no failure', async () => {
  await using home = await makeHome();
  const slowly = serve(file, { etag: '"1"', bytesPerSecond: 400_000 });
  const downloads = Object.entries(TURNED_DOWN).map(async ([how, turnDown]) => {
    await using origin = await startOrigin(() => (exchange) => (exchange.active() > 1 ? turnDown : slowly)(exchange));
    const urls = ['a', 'b', 'c'].map((name) => origin.at(`/${name}.bin`));
    const { code } = await home.run(['start', '--wait', '--id', how, '--retries', '5', ...urls], { env: { POSTE_BACKOFF: '0.1' } });
    const learnt = (await home.journal(how)).some(({ type, reasons }) => type === 'task.waiting' && JSON.stringify(reasons).includes('host-limit'));
    // Nobody asks again and again while one goes on: 1.5 s each, with back-offs of a tenth of that.
    return { how, code, learnt, few: origin.log.length < 15, digests: (await home.status(how)).tasks.map(({ sha256 }) => sha256) };
  });
  const digests = ['a', 'b', 'c'].map(() => sha256(file));
  expect(await Promise.all(downloads)).toEqual(Object.keys(TURNED_DOWN).map((how) => ({ how, code: 0, learnt: true, few: true, digests })));
});
