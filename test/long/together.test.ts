import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type EventAnswer, type StartAnswer } from '../support/poste.js';

const file = content('together', 2_000_000);
const PATIENCE = { timeoutMs: 120_000 };

test('#46 fifty starts of one session at one instant make one worker, one task and one file', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', bytesPerSecond: 500_000 }));
  const starts = await times(50, () => home.run(['start', '--json', origin.at('/one.bin')], PATIENCE));
  expect(starts.map(({ code }) => code)).toEqual(starts.map(() => 0));
  const answers = starts.map((start) => start.json<StartAnswer>());
  expect(answers.filter(({ tasks }) => tasks[0]?.existing === false)).toHaveLength(1);
  expect(new Set(answers.map(({ tasks }) => tasks[0]?.task))).toEqual(new Set([1]));

  expect((await home.run(['attach'], PATIENCE)).code).toBe(0);
  expect(origin.refetched(file.length)).toBe(0);
  const journal = await home.journal();
  expect(journal.filter(({ type }) => type === 'session.created')).toHaveLength(1);
  expect(journal.filter(({ type }) => type === 'task.added')).toHaveLength(1);
  expect(mostWorkersAtOnce(journal)).toBe(1);
  await home.run(['claim']);
  expect(await readdir(home.cwd)).toEqual(['one.bin']);
});

test('#46 fifty starts with a URL each lose none of them', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(content('small', 1000), { etag: '"a"' }));
  const starts = await times(50, (n) => home.run(['start', origin.at(`/${n}.bin`)], PATIENCE));
  expect(starts.map(({ code }) => code)).toEqual(starts.map(() => 0));
  expect((await home.run(['attach'], PATIENCE)).code).toBe(0);
  const { tasks } = await home.status();
  expect(tasks.map(({ name }) => name).sort()).toEqual(Array.from({ length: 50 }, (_, n) => `${n}.bin`).sort());
  expect(tasks.every(({ state }) => state === 'finished')).toBe(true);
  expect(mostWorkersAtOnce(await home.journal())).toBe(1);
});

test('#47 twenty claims at one instant to twenty places: one gets the file, the others hear of it', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  await home.run(['start', '--wait', origin.at('/one.bin')]);
  const places = Array.from({ length: 20 }, (_, n) => join(home.root, `place${n}`));
  await Promise.all(places.map((place) => mkdir(place)));
  const claims = await Promise.all(places.map((place) => home.run(['claim', '1', '--to', place], PATIENCE)));
  expect(claims.map(({ code }) => code).sort()).toEqual([0, ...Array.from({ length: 19 }, () => 42)]);
  const printed = claims.map(({ stdout }) => stdout).join('');
  expect(printed).toMatch(/^[^\n]+one\.bin\n$/);
  const found = await Promise.all(places.map(async (place) => (await readdir(place)).map((name) => join(place, name))));
  expect(found.flat()).toEqual([printed.trim()]);
  expect(sha256(await readFile(printed.trim()))).toBe(sha256(file));
  expect((await home.journal()).filter(({ type }) => type === 'task.claimed')).toHaveLength(1);
});

test('#47 twenty claims at one instant to one place: one path printed once, the others are told', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  await home.run(['start', '--wait', origin.at('/one.bin')]);
  const claims = await times(20, () => home.run(['claim', '1'], PATIENCE));
  const path = join(home.cwd, 'one.bin');
  expect(claims.map(({ code }) => code).sort()).toEqual([0, ...Array.from({ length: 19 }, () => 41)]);
  expect(claims.map(({ stdout }) => stdout).join('')).toBe(`${path}\n`);
  expect(await readdir(home.cwd)).toEqual(['one.bin']);
  expect(sha256(await readFile(path))).toBe(sha256(file));
  expect((await home.journal()).filter(({ type }) => type === 'task.claimed')).toHaveLength(1);
});

function times<T>(count: number, run: (n: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => run(n)));
}

function mostWorkersAtOnce(journal: readonly EventAnswer[]): number {
  let now = 0;
  let most = 0;
  for (const { type } of journal) {
    if (type === 'worker.started') most = Math.max(most, (now += 1));
    if (type === 'worker.exited') now -= 1;
  }
  return most;
}
