import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, makeHold, serve, sha256, startOrigin, status, type Origin } from '../support/origin.js';
import { makeHome, type EventAnswer, type Home } from '../support/poste.js';
import { stays, until } from '../support/wait.js';

const MIB = 1 << 20;
const file = content('control', 4 * MIB);
const quickly = serve(file, { etag: '"a"' });
/** Comes no further than three quarters. */
const partly = serve(file, { etag: '"a"', bytesPerSecond: 2 * MIB, stallAt: 3 * MIB });
/** Longer than the first back-off. */
const A_WHILE_MS = 2_500;

test('after pause returns nothing more is requested; resume goes on where it stopped', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', origin.at('/file.bin')]);
  await someBytes(home);
  expect((await home.run(['pause'])).code).toBe(0);
  await quiet(origin);
  const paused = await home.status();
  expect(paused).toMatchObject({ state: 'paused', tasks: [{ state: 'paused', waiting: [{ code: 'paused' }] }] });
  expect(paused.tasks[0]?.bytesReceived).toBeGreaterThan(0);

  origin.script = () => quickly;
  expect((await home.run(['resume'])).code).toBe(0);
  expect((await home.run(['attach'])).code).toBe(0);
  await home.run(['claim']);
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
  expect(origin.refetched(file.length)).toBeLessThanOrEqual(MIB);
});

test('after pause returns nothing is tried again, though the server was failing', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => status(500));
  await home.run(['start', origin.at('/file.bin')]);
  await until('a second try', () => origin.log.length >= 2);
  expect((await home.run(['pause'])).code).toBe(0);
  await quiet(origin);
});

test('after cancel returns nothing more is requested; the session ends as cancelled; --purge removes the bytes', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', origin.at('/file.bin')]);
  await someBytes(home);
  expect((await home.run(['cancel', '--purge'])).code).toBe(0);
  await quiet(origin);
  expect(await home.status()).toMatchObject({ state: 'settled', counts: { cancelled: 1 }, tasks: [{ state: 'cancelled' }] });
  expect((await home.run(['attach'])).code).toBe(44);
  await home.workerGone();
  expect((await home.files()).filter((path) => path.includes('.part'))).toEqual([]);
});

test('pause and cancel of one task leave the others alone; a task is known by its number or its name', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', ...['/a.bin', '/b.bin', '/c.bin'].map((path) => origin.at(path))]);
  await until('three downloads', () => origin.open === 3);
  expect((await home.run(['cancel', '1'])).code).toBe(0);
  expect((await home.run(['pause', 'b.bin'])).code).toBe(0);
  expect((await home.status()).tasks.map(({ state }) => state)).toEqual(['cancelled', 'paused', 'running']);
  expect((await home.run(['pause', 'nothing.bin'])).code).toBe(41);
});

test('start --paused asks for nothing until resume', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  expect((await home.run(['start', '--paused', origin.at('/file.bin')])).code).toBe(0);
  await stays('the number of requests', () => origin.log.length, A_WHILE_MS);
  expect(origin.log).toEqual([]);
  await home.run(['resume']);
  expect((await home.run(['attach'])).code).toBe(0);
});

test('retry tries again what had failed', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => status(404));
  expect((await home.run(['start', '--wait', origin.at('/file.bin')])).code).toBe(3);
  expect(await home.status()).toMatchObject({ tasks: [{ state: 'failed', error: { code: 'not-found', exitCode: 3 } }] });
  origin.script = () => quickly;
  expect((await home.run(['retry'])).code).toBe(0);
  expect((await home.run(['attach'])).code).toBe(0);
  expect(await home.status()).toMatchObject({ tasks: [{ state: 'finished' }] });
});

test('set changes the rate of a running download', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--limit-rate', '10K', origin.at('/file.bin')]);
  await until('the download to run', () => origin.log.length > 0);
  expect((await home.run(['set', '--limit-rate', '0'])).code).toBe(0);
  // At 10 KiB a second it would take seven minutes.
  expect((await home.run(['attach'])).code).toBe(0);
});

test('forget ends a session whose files were claimed, and refuses while one waits to be', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', origin.at('/file.bin')]);
  const early = await home.run(['forget']);
  expect(early.code).not.toBe(0);
  expect((await home.status()).tasks[0]?.state).toBe('finished');
  await home.run(['claim']);
  expect((await home.run(['forget'])).code).toBe(0);
  expect((await home.run(['status', '--id', 'default'])).code).toBe(40);
  expect((await home.files()).filter((path) => path.startsWith('sessions/'))).toEqual([]);
});

test('forget --cancel --purge ends a running session at once; forget --when-done lets it end first', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', '--id', 'now', origin.at('/file.bin')]);
  await someBytes(home, 'now');
  expect((await home.run(['forget', '--id', 'now', '--cancel', '--purge'])).code).toBe(0);
  await quiet(origin);
  expect((await home.run(['status', '--id', 'now'])).code).toBe(40);

  origin.script = () => quickly;
  await home.run(['start', '--id', 'later', '--to', join(home.cwd, 'later.bin'), origin.at('/file.bin')]);
  expect((await home.run(['forget', '--id', 'later', '--when-done'])).code).toBe(0);
  expect((await home.run(['claim', '--id', 'later', '--wait'])).code).toBe(0);
  await until('the session to be forgotten', async () => (await home.run(['status', '--id', 'later'])).code === 40);
  expect(sha256(await readFile(join(home.cwd, 'later.bin')))).toBe(sha256(file));
});

test('forget --when-done of a session whose files start --wait takes: forgotten with the last of them', async () => {
  await using home = await makeHome();
  const hold = makeHold(1000);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold }));
  const waiting = home.spawn(['start', '--wait', '--to', './', origin.at('/file.bin')]);
  await until('the request', () => origin.log.length > 0);
  expect((await home.run(['forget', '--when-done'])).code).toBe(0);
  hold.release();
  expect(await waiting.exit).toMatchObject({ code: 0, stdout: `${join(home.cwd, 'file.bin')}\n` });
  await until('the session to be forgotten', async () => (await home.files()).every((path) => !path.startsWith('sessions/')));
});

test('a time limit of a month is one, whoever waits', async () => {
  await using home = await makeHome();
  const hold = makeHold(1000);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold }));
  await home.run(['start', '--stall-timeout', '30d', origin.at('/file.bin')]);
  const waiting = [['attach', '--timeout', '30d'], ['claim', '--wait', '--timeout', '30d']].map((args) => home.spawn(args));
  await Promise.all(waiting.slice(0, 1).map((each) => each.shows(/running|started/)));
  hold.release();
  expect((await Promise.all(waiting.map(({ exit }) => exit))).map(({ code }) => code)).toEqual([0, 0]);
});

test('events tells the whole story, numbered without a gap', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', origin.at('/file.bin')]);
  await home.run(['claim']);
  await home.workerGone();
  const events = (await home.run(['events', '--json'])).lines<EventAnswer>();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.every(({ time }) => /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time))).toBe(true);
  const story = events.map(({ type }) => type).filter((type) => type !== 'worker.exited' && type !== 'session.acknowledged');
  const told = ['session.created', 'worker.started', 'task.added', 'task.started', 'task.finished', 'session.settled', 'task.claimed'];
  expect(story).toEqual(expect.arrayContaining(told) as unknown);
  expect(story[0]).toBe('session.created');
  expect(story.indexOf('task.finished')).toBeLessThan(story.indexOf('session.settled'));
  const plain = await home.run(['events']);
  expect(plain.code).toBe(0);
  expect(plain.stdout).toContain('file.bin');
});

test('attach shows where things stand, what was missed, then that it has caught up, then what happens', async () => {
  await using home = await makeHome();
  const hold = makeHold(MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold, bytesPerSecond: 2 * MIB }));
  await home.run(['start', origin.at('/file.bin')]);
  const attached = home.spawn(['attach', '--json']);
  await attached.shows(/"progress"/);
  hold.release();
  const live = (await attached.exit).lines<EventAnswer>();
  const types = live.map(({ type }) => type);
  expect(types[0]).toBe('snapshot');
  expect(types.filter((type) => type === 'caught-up')).toHaveLength(1);
  const caughtUp = types.indexOf('caught-up');
  expect(types.slice(0, caughtUp)).toContain('task.added');
  expect(types.slice(caughtUp)).toEqual(expect.arrayContaining(['progress', 'task.finished', 'session.settled']) as unknown);

  const later = (await home.run(['attach', '--json'])).lines<EventAnswer>();
  expect(missed(later)).toEqual(expect.arrayContaining(['session.created', 'task.finished', 'session.settled']) as unknown);
  expect(missed((await home.run(['attach', '--json', '--since', 'now'])).lines())).toEqual([]);
  await home.run(['attach', '--json', '--ack']);
  expect(missed((await home.run(['attach', '--json'])).lines())).not.toContain('task.finished');
  expect(missed((await home.run(['attach', '--json', '--since', 'start'])).lines())).toContain('session.created');
});

test('restore gives every interrupted session a worker again', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  for (const id of ['one', 'two']) await home.run(['start', '--id', id, origin.at(`/${id}.bin`)]);
  await until('both to run', () => origin.open === 2);
  for (const pid of await home.processes()) process.kill(pid, 'SIGKILL');
  for (const id of ['one', 'two']) await until('it to be interrupted', async () => (await home.status(id)).state === 'interrupted');
  origin.script = () => quickly;
  expect((await home.run(['restore'])).code).toBe(0);
  for (const id of ['one', 'two']) expect((await home.run(['attach', '--id', id])).code).toBe(0);
});

test('TERM to the worker keeps what it has; status never starts one', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', origin.at('/file.bin')]);
  await someBytes(home);
  const pid = await home.workerPid();
  if (pid !== null) process.kill(pid, 'SIGTERM');
  await home.workerGone();
  const before = await readdir(home.sessionDir());
  const { state, tasks } = await home.status();
  expect(state).toBe('interrupted');
  expect(tasks[0]?.bytesReceived).toBeGreaterThan(0);
  expect(await readdir(home.sessionDir())).toEqual(before);
  expect((await home.run(['attach', '--no-revive'])).code).toBe(7);
  expect(await home.workerPid()).toBe(null);
});

function missed(lines: readonly EventAnswer[]): string[] {
  const types = lines.map(({ type }) => type);
  return types.slice(0, types.indexOf('caught-up')).filter((type) => type !== 'snapshot');
}

async function someBytes(home: Home, id = 'default'): Promise<void> {
  await until('some bytes', async () => (await home.received(1, id)) > 256 * 1024);
}

/** No request under way, and none that begins. */
async function quiet(origin: Origin): Promise<void> {
  await until('the request to be torn down', () => origin.log.every(({ ended }) => ended !== 'open'), { deadlineMs: 1_000 });
  await stays('the number of requests', () => origin.log.length, A_WHILE_MS);
}
