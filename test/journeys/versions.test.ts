import { appendFile, chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { intentPath, sessionPaths, tempPaths } from '../../src/store/paths.js';
import { seal, unseal } from '../../src/store/sealed.js';
import { changeLine } from '../support/marked.js';
import { highestGeneration, generationPath } from '../../src/store/generations.js';
import { content, serve, startOrigin } from '../support/origin.js';
import { makeHome, type ErrorAnswer, type Home, type SessionAnswer, type StatusAnswer } from '../support/poste.js';

/**
 * What poste 0.1.0 left in /tmp/poste-fixture/home, as it lies there: a session `old` whose task 1 has finished, of whose task 2 70 000 of
 * 100 000 bytes are here (paused; its URL has a secret), and whose task 3 was claimed.
 */
const FIXTURE = fileURLToPath(new URL('../fixtures/v1', import.meta.url));
const MADE_IN = '/tmp/poste-fixture';
const [done, part] = [content('v1 done', 5000), content('v1 part', 100_000)];

type Unreadable = StatusAnswer & Partial<ErrorAnswer> & { unreadable: readonly (ErrorAnswer & { id: string; readable: SessionAnswer | null })[] };

let home: Home;

beforeEach(async () => {
  home = await makeHome();
  await cp(join(FIXTURE, 'home'), home.dir, { recursive: true });
  for (const dir of [home.dir, join(home.dir, 'sessions')]) await chmod(dir, 0o700);
  const { journal } = sessionPaths(home.dir, 'old');
  // Paths are absolute: the same lines, as if they had been written here.
  const lines = (await readFile(journal, 'utf8')).trimEnd().split('\n');
  const moved = lines.map((line) => {
    const { crc: _crc, ...record } = unseal(line) ?? {};
    return `${seal(JSON.parse(JSON.stringify(record).replaceAll(MADE_IN, home.root)) as object)}\n`;
  });
  expect(moved).toHaveLength(lines.length);
  await writeFile(journal, moved.join(''));
});

afterEach(() => home[Symbol.asyncDispose]());

test('#49 what 0.1.0 wrote is read, gone on with and delivered', async () => {
  await using origin = await startOrigin(() => serve(part, { etag: '"/part.bin"' }));
  const { state, tasks } = await home.status('old');
  expect([state, tasks.map(({ name, state, bytesReceived }) => [name, state, bytesReceived])]).toEqual([
    'paused',
    [['done.bin', 'finished', 5000], ['part.bin', 'paused', 70_000], ['claimed.bin', 'claimed', 100]],
  ]);
  expect(await home.run(['set', '--id', 'old', 'part.bin', '--url', origin.at('/part.bin?token=secret')])).toMatchObject({ code: 0 });
  expect(await home.run(['resume', '--id', 'old'])).toMatchObject({ code: 0 });
  expect(await home.run(['claim', '--id', 'old', '--wait'])).toMatchObject({ code: 0 });
  expect((await readFile(join(home.cwd, 'done.bin'))).equals(done)).toBe(true);
  expect((await readFile(join(home.cwd, 'part.bin'))).equals(part)).toBe(true);
  // It went on from what was here, less what is compared at the join.
  expect(origin.bodyBytesSent).toBeLessThanOrEqual(30_000 + 64 * 1024);
});

const NOW = new Date().toISOString();

test('#49 a session of a newer poste hides no other, is told of, shown as far as it can be read, and left as it is', async () => {
  await cp(home.sessionDir('old'), home.sessionDir('new'), { recursive: true });
  const { journal } = sessionPaths(home.dir, 'new');
  const [first = '', ...others] = (await readFile(journal, 'utf8')).split('\n');
  await writeFile(journal, [changeLine(first, '', (record) => ({ ...record, id: 'new' })), ...others].join('\n'));
  await appendFile(journal, `${seal({ v: 3, seq: 19, gen: 2, time: NOW, type: 'task.teleported' })}\n`);
  const before = await readFile(journal);
  const all = await home.run(['status', '--json']);
  const { sessions, unreadable } = all.json<Unreadable>();
  expect([all.code, sessions.map(({ id }) => id), unreadable.map(({ id, error }) => [id, error.code])]).toEqual([0, ['old'], [['new', 'newer-version']]]);
  expect(await home.run(['status'])).toMatchObject({ code: 0, stderr: expect.stringMatching(/new: .*newer poste/) as string });
  const one = await home.run(['status', '--id', 'new', '--json']);
  expect([one.code, one.json<Unreadable>().unreadable[0]?.readable?.tasks.length, one.json<ErrorAnswer>().error.exitCode]).toEqual([45, 3, 45]);
  expect((await home.run(['status', '--id', 'new'])).stdout).toContain('part.bin');
  for (const args of [['start', 'http://127.0.0.1:1/x'], ['pause'], ['claim'], ['attach'], ['forget', '--cancel', '--purge']]) {
    expect([args[0], (await home.run([...args, '--id', 'new'])).code]).toEqual([args[0], 45]);
  }
  expect((await readFile(journal)).equals(before)).toBe(true);
});

test('#49 an owner, a part, a delivery, a request of a newer poste: refused with exit 45, and kept', async () => {
  const paths = sessionPaths(home.dir, 'old');
  const temp = tempPaths(paths.dir);
  const { gen } = await highestGeneration(paths);
  const owner = { v: 2, gen: gen + 1, who: 'someone' };
  await writeFile(generationPath(paths, gen + 1), seal(owner));
  expect((await home.run(['pause', '--id', 'old'])).code).toBe(45);
  const shown = await home.run(['status', '--id', 'old', '--json']);
  expect([shown.code, shown.json<Unreadable>().unreadable[0]?.readable?.tasks.length]).toEqual([45, 3]);
  await writeFile(`${generationPath(paths, gen + 1)}.released`, '');

  const intent = { v: 3, task: 1, by: 'drone' };
  await mkdir(paths.intents, { recursive: true });
  await writeFile(intentPath(paths, 1), seal(intent));
  expect((await home.run(['claim', '--id', 'old', 'done.bin'])).code).toBe(45);
  await writeFile(intentPath(paths, 1), seal({ v: 1, over: true }));

  await writeFile(temp.extents(2, 1), `${seal({ v: 2, map: [] })}\n`);
  const id = `${Date.now().toString().padStart(15, '0')}-0123456789ab`;
  await mkdir(paths.inbox, { recursive: true });
  await writeFile(join(paths.inbox, `${id}.json`), seal({ v: 2, request: { kind: 'teleport' } }));
  const resumed = await home.run(['resume', '--id', 'old']);
  expect(resumed.code).toBe(0);
  const attached = await home.run(['attach', '--id', 'old', '--json']);
  expect(attached.code).toBe(45);
  expect(unseal(await readFile(join(paths.answers, `${id}.json`), 'utf8'))).toMatchObject({ answer: { ok: false, error: { code: 'newer-version', exitCode: 45 } } });
  expect((await readFile(temp.part(2, 1))).length).toBe(70_000);
  expect((await home.status('old')).tasks[1]).toMatchObject({ state: 'failed', error: { code: 'newer-version' } });

  const receipt = JSON.parse(await readFile(join(paths.receipts, '1.json'), 'utf8')) as object;
  const newer = JSON.stringify({ ...receipt, schema: 2, signed: 'yes' });
  await writeFile(join(paths.receipts, '1.json'), newer);
  expect((await home.run(['claim', '--id', 'old', 'done.bin'])).code).toBe(0);
  expect(await readFile(join(paths.receipts, '1.json'), 'utf8')).toBe(newer);
});
