import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, routes, serve, sha256, startOrigin, status } from '../support/origin.js';
import { kill, makeHome } from '../support/poste.js';
import { stays, until } from '../support/wait.js';

const file = content('hooks', 100_000);
const served = serve(file, { etag: '"a"' });

const PROMISED =
  /^(POSTE_(EVENT|EVENT_ID|ID|TASK|FILE|NAME|SIZE|SHA256|URL|TO|STATUS|ERROR_CODE|HOME)|PATH|HOME|LANG|LC_\w+|TMPDIR|USER|SHELL)$/;
/** Variables that /bin/sh sets by itself. */
const OF_THE_SHELL = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);

test('--on-finish is told everything by its environment and its input, and nothing secret', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  const hook = 'env -0 > env.txt; cat > input.json; pwd > pwd.txt; mv input.json done.json';
  const flags = ['--id', 'films', '--to', 'shelf/', '--on-finish', hook, '-H', 'Authorization: Bearer hunter2'];
  const started = await home.run(['start', ...flags, origin.at('/film.mkv?token=hunter3')], { env: { UNRELATED: 'x', HTTP_PROXY: '' } });
  expect(started.code).toBe(0);
  const input = JSON.parse(await until('the hook to have run', () => readFile(join(home.cwd, 'done.json'), 'utf8'))) as unknown;
  const env = await environment(join(home.cwd, 'env.txt'));
  const task = (await home.status('films')).tasks[0];
  expect(env).toMatchObject({
    POSTE_EVENT: 'finished',
    POSTE_ID: 'films',
    POSTE_TASK: '1',
    POSTE_FILE: task?.file,
    POSTE_NAME: 'film.mkv',
    POSTE_SIZE: '100000',
    POSTE_SHA256: sha256(file),
    POSTE_TO: join(home.cwd, 'shelf/'),
    HOME: join(home.root, 'user'),
  });
  expect(env['POSTE_URL']).toContain('/film.mkv');
  expect(Object.keys(env).filter((name) => !PROMISED.test(name) && !OF_THE_SHELL.has(name))).toEqual([]);
  expect(JSON.stringify(input)).toContain(sha256(file));
  expect(JSON.stringify([env, input])).not.toMatch(/hunter[23]/);
  expect((await readFile(join(home.cwd, 'pwd.txt'), 'utf8')).trim()).toBe(home.cwd);
});

test('a hook that leaves the file leaves it to be claimed; one that moves it has claimed it', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--on-finish', 'true', origin.at('/left.bin')]);
  await home.run(['start', '--on-finish', 'mv "$POSTE_FILE" moved.bin', origin.at('/moved.bin')]);
  expect((await home.run(['attach'])).code).toBe(0);
  expect((await home.status()).tasks).toMatchObject([{ state: 'finished' }, { state: 'claimed', claimedBy: 'hook' }]);
  expect(sha256(await readFile(join(home.cwd, 'moved.bin')))).toBe(sha256(file));
  expect(await home.run(['claim'])).toMatchObject({ code: 0, stdout: `${join(home.cwd, 'left.bin')}\n` });
});

test('#90 a hook that fails is run again with the same event id, its file kept', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--on-finish', 'echo "$POSTE_EVENT_ID" >> ids; test -e ready', origin.at('/file.bin')]);
  const ids = async (): Promise<string[]> => (await readFile(join(home.cwd, 'ids'), 'utf8')).trim().split('\n');
  await until('the hook to be run twice', async () => (await ids()).length >= 2);
  expect((await home.status()).tasks).toMatchObject([{ state: 'finished', waiting: [{ code: 'hook' }] }]);
  await writeFile(join(home.cwd, 'ready'), '');
  expect((await home.run(['attach'])).code).toBe(0);
  expect(new Set(await ids()).size).toBe(1);
  const runs = (await home.journal()).filter(({ type }) => type === 'hook.finished');
  expect(runs.map(({ ok }) => ok)).toEqual([...runs.slice(1).map(() => false), true]);
});

test('#90 what a failing hook left can be claimed while it waits to be run again', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--on-finish', 'echo no room >&2; exit 3', origin.at('/file.bin')]);
  await until('the hook to have failed', async () => (await home.journal()).some(({ type }) => type === 'hook.finished'));
  expect(await home.run(['claim'])).toMatchObject({ code: 0, stdout: `${join(home.cwd, 'file.bin')}\n` });
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
  await home.workerGone();
});

test('a claim waits for a hook that is running', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--on-finish', 'touch running; until test -e go; do sleep 0.05; done', origin.at('/file.bin')]);
  await until('the hook to run', () => readFile(join(home.cwd, 'running')).then(() => true));
  const claim = home.spawn(['claim']);
  await stays('what claim has printed', () => [claim.stdout, claim.stderr], 1_000);
  await writeFile(join(home.cwd, 'go'), '');
  expect(await claim.exit).toMatchObject({ code: 0, stdout: `${join(home.cwd, 'file.bin')}\n` });
});

test('#90 a hook that hangs is ended with its children, and counts as failed', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--hook-timeout', '1s', '--on-finish', 'sleep 1000 & echo $! > child; sleep 1000', origin.at('/file.bin')]);
  await until('the hook to have failed', async () => (await home.journal()).some(({ ok }) => ok === false));
  const child = (await readFile(join(home.cwd, 'child'), 'utf8')).trim();
  const alive = await readFile(`/proc/${child}/cmdline`, 'latin1').catch(() => '');
  expect(alive).not.toContain('sleep');
});

test('a failed download runs its hook with the error’s code', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => status(404));
  await home.run(['start', '--wait', '--on-finish', 'env -0 > env.txt', origin.at('/file.bin')]);
  await until('the hook to have run', async () => (await home.journal()).some(({ type }) => type === 'hook.finished'));
  const env = await environment(join(home.cwd, 'env.txt'));
  expect(env).toMatchObject({ POSTE_EVENT: 'failed', POSTE_ERROR_CODE: 'not-found', POSTE_TASK: '1' });
});

test('--on-complete runs once, when everything has settled', async () => {
  await using home = await makeHome();
  const slowly = serve(file, { etag: '"a"', bytesPerSecond: 100_000 });
  await using origin = await startOrigin(routes({ '/a.bin': slowly, '/b.bin': slowly }));
  const hook = 'env -0 > env.txt; echo run >> runs';
  await home.run(['start', '--on-complete', hook, origin.at('/a.bin'), origin.at('/b.bin'), origin.at('/missing.bin')]);
  await home.run(['attach']);
  await home.workerGone();
  expect(await readFile(join(home.cwd, 'runs'), 'utf8')).toBe('run\n');
  expect(await environment(join(home.cwd, 'env.txt'))).toMatchObject({ POSTE_EVENT: 'complete', POSTE_ID: 'default' });
  const types = (await home.journal()).map(({ type }) => type);
  expect(types.indexOf('hook.started')).toBeGreaterThan(types.indexOf('session.settled'));
});

async function environment(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8');
  const pairs = text.split('\0').filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** Hooks that go wrong, each in a session of its own, and what `events` shows of them. */
const WRONG: Readonly<Record<string, { readonly hook: string; readonly shown: RegExp }>> = {
  fails: { hook: 'echo no such mailbox >&2; exit 3', shown: /exit 3: no such mailbox/ },
  killed: { hook: 'kill -KILL $$', shown: /SIGKILL/ },
  missing: { hook: '/no/such/program', shown: /exit 127/ },
  loud: { hook: 'head -c 5000000 /dev/zero | tr "\\0" "a"; printf "\\n\\033[2J\\033]0;owned\\007end\\n"; exit 4', shown: /exit 4: \\x1b\[2J.*end/ },
};

test('#90 a hook that fails, is killed, does not exist, prints megabytes and escapes: its file is kept, it is shown, and run again', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await Promise.all(
    Object.entries(WRONG).map(async ([id, { hook, shown }]) => {
      await home.run(['start', '--id', id, '--on-finish', hook, origin.at('/file.bin')]);
      await until(`${id} to be run again`, async () => (await home.journal(id)).filter(({ type }) => type === 'hook.finished').length >= 2);
      const task = await until(`${id} to wait for its next run`, async () => {
        const [it] = (await home.status(id)).tasks;
        return it?.waiting.some(({ code, message }) => /^hook the hook failed \d time\(s\)/.test(`${code} ${message}`)) === true ? it : undefined;
      });
      expect(task.state).toBe('finished');
      const events = (await home.run(['events', '--id', id])).stdout;
      expect(events).toMatch(shown);
      for (const control of ['\x1b', '\x07']) expect(events).not.toContain(control);
      expect(sha256(await readFile(task.file ?? ''))).toBe(sha256(file));
    }),
  );
});

test('#90 a hook that deletes the file: with exit 0 it has taken it; when it fails, the loss is told and nothing else is delivered', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--id', 'took', '--on-finish', 'rm "$POSTE_FILE"', origin.at('/file.bin')]);
  expect((await home.run(['attach', '--id', 'took'])).code).toBe(0);
  expect((await home.status('took')).tasks).toMatchObject([{ state: 'claimed', claimedBy: 'hook', claimedTo: null }]);
  await home.run(['start', '--id', 'lost', '--on-finish', 'rm "$POSTE_FILE"; exit 1', origin.at('/file.bin')]);
  await until('the hook to have failed', async () => (await home.journal('lost')).some(({ ok }) => ok === false));
  const claimed = await home.run(['claim', '--id', 'lost']);
  expect(claimed).toMatchObject({ code: 41, stdout: '' });
  expect(claimed.stderr).toMatch(/gone|no longer|missing/);
});

test('#90 a child that a hook leaves with its output open holds nobody up', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await home.run(['start', '--on-finish', 'sleep 1000 & echo left', '--on-complete', 'echo done > completed', origin.at('/file.bin')]);
  expect((await home.run(['attach'])).code).toBe(0);
  expect(await readFile(join(home.cwd, 'completed'), 'utf8')).toBe('done\n');
  await home.workerGone();
});

test.each([
  ['--on-finish', false],
  ['--on-finish', true],
  ['--on-complete', false],
] as const)('#40 #90 a hook (%s, claims by itself: %s) that outlives its worker never runs twice at once', async (flag, claims) => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => served);
  await writeFile(join(home.cwd, 'runs'), '');
  // Tells of an earlier run that is still alive.
  const first = claims ? `POSTE_HOME='${home.dir}' poste claim --to taken/;` : '';
  const hook = `${first} for run in $(cat runs); do kill -0 "$run" && touch overlap; done; echo $$ >> runs; test -e ready || sleep 60`;
  expect(await home.run(['start', flag, hook, origin.at('/file.bin')])).toMatchObject({ code: 0, stderr: '' });
  const runs = async (): Promise<string[]> => (await readFile(join(home.cwd, 'runs'), 'utf8')).split('\n').filter(Boolean);
  await until('the hook to run', async () => (await runs()).length > 0, { deadlineMs: 30_000 }).catch(async (error: unknown) => {
    throw new Error(`the journal tells: ${(await home.run(['events'])).stdout}`, { cause: error });
  });
  kill(await until('a worker', () => home.workerPid()));
  if (flag === '--on-finish' && !claims) expect(await home.run(['claim', '--timeout', '1s'])).toMatchObject({ code: 124, stdout: '' });
  await writeFile(join(home.cwd, 'ready'), '');
  expect(await home.run(['attach'])).toMatchObject({ code: 0 });
  expect(await runs()).toHaveLength(2);
  await expect(readFile(join(home.cwd, 'overlap'))).rejects.toThrow('ENOENT');
});
