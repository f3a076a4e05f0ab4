import { access, readFile, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { content, makeHold, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type ClaimAnswer, type StartAnswer } from '../support/poste.js';

const file = content('main', 3_000_000);
const quickly = serve(file, { etag: '"main"' });

test('start returns while the bytes are still under way, with the session, its task and what to type next', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { stallAt: 1000 }));
  const started = await home.run(['start', '--id', 'films', origin.at('/film.mkv')]);
  expect(started.code).toBe(0);
  expect(origin.log.filter((entry) => entry.ended === 'complete')).toEqual([]);
  expect(started.stdout).toContain('films');
  expect(started.stdout).toContain('film.mkv');
  expect(started.stdout + started.stderr).toMatch(/poste (attach|status|claim).*films/);
});

test('start --json names the worker and the tasks', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { stallAt: 1000 }));
  const started = await home.run(['start', '--json', origin.at('/film.mkv'), origin.at('/other.mkv')]);
  expect(started.code).toBe(0);
  const answer = started.json<StartAnswer>();
  expect(answer).toMatchObject({ schema: 1, id: 'default' });
  expect(answer.tasks.map(({ task, name, existing }) => ({ task, name, existing }))).toEqual([
    { task: 1, name: 'film.mkv', existing: false },
    { task: 2, name: 'other.mkv', existing: false },
  ]);
  expect(answer.worker?.pid).toBe(await home.workerPid());
});

test('`x=$(poste start …)` returns although the worker lives on', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { stallAt: 1000 }));
  const script = await home.sh(`x=$(poste start '${origin.at('/film.mkv')}' 2>&1); echo "code $?"; echo "$x"`);
  expect(script.stdout).toMatch(/^code 0\n.*film\.mkv/s);
  expect(await home.workerPid()).not.toBe(null);
});

test('from start to claim: the same bytes, one path printed, nothing left in temp, no worker left', async () => {
  await using home = await makeHome();
  const hold = makeHold(1_000_000);
  await using origin = await startOrigin(() => serve(file, { etag: '"main"', hold }));
  expect((await home.run(['start', origin.at('/film.mkv')])).code).toBe(0);
  expect(await home.status()).toMatchObject({ id: 'default', state: 'running', tasks: [{ task: 1, name: 'film.mkv' }] });
  hold.release();
  expect((await home.run(['attach'])).code).toBe(0);
  const finished = (await home.status()).tasks[0];
  expect(finished).toMatchObject({ state: 'finished', bytesReceived: file.length, bytesExpected: file.length, sha256: sha256(file) });
  expect(await readdir(home.cwd)).toEqual([]);

  const claimed = await home.run(['claim']);
  const path = join(home.cwd, 'film.mkv');
  expect(claimed).toMatchObject({ code: 0, stdout: `${path}\n` });
  expect(sha256(await readFile(path))).toBe(sha256(file));
  await expect(access(finished?.file ?? '')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await home.status()).toMatchObject({ state: 'settled', tasks: [{ state: 'claimed', claimedTo: path, claimedBy: 'claim' }] });
  await home.workerGone();
  expect(await home.processes()).toEqual([]);
  expect(origin.refetched(file.length)).toBe(0);
});

test('the same claim again gives the same path; to another place it is refused', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  expect((await home.run(['start', '--wait', origin.at('/film.mkv')])).code).toBe(0);
  const path = `${join(home.cwd, 'film.mkv')}\n`;
  expect(await home.run(['claim', '1'])).toMatchObject({ code: 0, stdout: path });
  expect(await home.run(['claim', '1'])).toMatchObject({ code: 0, stdout: path });
  expect(await home.run(['claim', 'film.mkv'])).toMatchObject({ code: 0, stdout: path });
  expect(await home.run(['claim'])).toMatchObject({ code: 0, stdout: path });
  const elsewhere = await home.run(['claim', '1', '--to', join(home.root, 'elsewhere/')]);
  expect(elsewhere).toMatchObject({ code: 42, stdout: '' });
  expect(elsewhere.stderr).toContain(path.trim());
});

test('claim --json tells where the file came from, where it went and what it is; -0 ends paths with NUL', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', origin.at('/film.mkv')]);
  const from = (await home.status()).tasks[0]?.file;
  const path = join(home.cwd, 'film.mkv');
  const claimed = (await home.run(['claim', '--json'])).json<ClaimAnswer>();
  expect(claimed).toMatchObject({
    schema: 1,
    id: 'default',
    claimed: [{ task: 1, name: 'film.mkv', from, path, size: file.length, sha256: sha256(file) }],
    failed: [],
  });
  expect(JSON.parse(await readFile(claimed.claimed[0]?.receipt ?? '', 'utf8'))).toMatchObject({ sha256: sha256(file) });
  expect((await home.run(['claim', '-0'])).stdout).toBe(`${path}\0`);
});

test('start --wait --to is the whole journey in one command', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  const result = await home.run(['start', '--wait', '--json', '--to', 'here.bin', origin.at('/film.mkv')]);
  expect(result.code).toBe(0);
  const path = join(home.cwd, 'here.bin');
  expect(result.json<StartAnswer>()).toMatchObject({ tasks: [{ state: 'claimed' }], claimed: [{ path, sha256: sha256(file) }] });
  expect(sha256(await readFile(path))).toBe(sha256(file));
});

test('#103 the same URL again is the same task, and nothing is fetched twice; --new forces one', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', origin.at('/film.mkv')]);
  const again = await home.run(['start', '--json', origin.at('/film.mkv')]);
  expect(again.code).toBe(0);
  expect(again.json<StartAnswer>().tasks).toMatchObject([{ task: 1, existing: true }]);
  expect(origin.refetched(file.length)).toBe(0);
  const forced = await home.run(['start', '--json', '--new', origin.at('/film.mkv')]);
  expect(forced.json<StartAnswer>().tasks).toMatchObject([{ task: 2, existing: false }]);
});

test('a file is not claimed to where poste keeps it: it would go with its own source', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }));
  await home.run(['start', '--wait', origin.at('/file.bin')]);
  const kept = (await home.status()).tasks[0]?.file ?? '';
  for (const conflict of ['fail', 'rename', 'overwrite']) {
    expect(await home.run(['claim', '--to', kept, '--on-conflict', conflict])).toMatchObject({ code: 14, stdout: '' });
    expect(await home.run(['claim', '--on-conflict', conflict], { cwd: dirname(kept) })).toMatchObject({ code: 14, stdout: '' });
    expect(file.equals(await readFile(kept))).toBe(true);
  }
  expect((await home.run(['claim'])).code).toBe(0);
});

test('--to is remembered for claim; until then nothing is put there', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--to', 'shelf/', origin.at('/film.mkv')]);
  await home.run(['attach']);
  expect(await readdir(home.cwd)).toEqual([]);
  const path = join(home.cwd, 'shelf', 'film.mkv');
  expect(await home.run(['claim'], { cwd: home.root })).toMatchObject({ code: 0, stdout: `${path}\n` });
  expect(sha256(await readFile(path))).toBe(sha256(file));
});

test('a digest that is given later is compared with the file that is here', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', origin.at('/film.mkv')]);
  expect((await home.run(['start', '--checksum', `sha256:${sha256(file)}`, origin.at('/film.mkv')])).code).toBe(0);
  expect((await home.run(['start', '--checksum', `sha256:${'0'.repeat(64)}`, origin.at('/film.mkv')])).code).toBe(32);
});

test('the same claim again does not vouch for a file that is gone', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--wait', '--to', 'here.bin', origin.at('/film.mkv')]);
  await rm(join(home.cwd, 'here.bin'));
  expect(await home.run(['claim', '--to', 'here.bin'])).toMatchObject({ code: 41, stdout: '' });
});

test('a name that two tasks have is no way to name one; a hundred files are claimed in one go', { timeout: 120_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(content('small', 100), { etag: '"s"' }));
  const urls = Array.from({ length: 100 }, (_, n) => origin.at(`/${n}/same.bin`)).join('\n');
  expect((await home.run(['start', '--wait', '-i', '-'], { input: urls, timeoutMs: 100_000 })).code).toBe(0);
  expect((await home.run(['claim', 'same.bin'])).code).toBe(2);
  const claimed = await home.run(['claim', '--to', 'all/', '--on-conflict', 'rename'], { timeoutMs: 60_000 });
  expect({ code: claimed.code, lines: claimed.stdout.split('\n').length - 1 }).toEqual({ code: 0, lines: 100 });
  expect(await readdir(join(home.cwd, 'all'))).toHaveLength(100);
});
