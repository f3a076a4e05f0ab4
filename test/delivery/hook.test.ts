import { existsSync, realpathSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runHook, type HookRequest, type HookResult } from '../../src/delivery/hook.js';
import { until } from '../support/wait.js';

let cwd: string;
let folder: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'poste-hook-'));
  folder = await mkdtemp(join(tmpdir(), 'poste-hook-'));
});
afterAll(async () => {
  for (const path of [cwd, folder]) await rm(path, { recursive: true, force: true });
});

function run(command: string, more: Partial<HookRequest> = {}): Promise<HookResult> {
  const env = { PATH: process.env['PATH'] ?? '', POSTE_FILE: '/some/file' };
  return runHook({ command, cwd, folder, env, stdin: '{"schema":1}\n', timeoutMs: 20_000, announce: () => Promise.resolve(), signal: new AbortController().signal, ...more });
}

function isRunning(pid: string): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

it('a hook gets its facts in the environment and on stdin, and nothing else', async () => {
  const result = await run('env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | cut -d= -f1 | sort; cat; pwd; echo "$POSTE_FILE"');
  expect(result).toMatchObject({ ok: true, exit: { kind: 'exited', code: 0 } });
  expect(result.tail.trim().split('\n')).toEqual(['PATH', 'POSTE_FILE', '{"schema":1}', realpathSync(cwd), '/some/file']);
});

it('#90 a hook that fails is told with its exit code and last words', async () => {
  expect(await run('echo out; echo no such mailbox >&2; exit 3')).toMatchObject({ ok: false, message: 'exit 3: no such mailbox' });
  expect(await run('kill -KILL $$')).toMatchObject({ ok: false, exit: { kind: 'killed', signal: 'SIGKILL' } });
  expect(await run('no-such-program-at-all')).toMatchObject({ ok: false, exit: { kind: 'exited', code: 127 } });
});

it('#90 a hook that hangs is stopped with everything it started', async () => {
  const result = await run(`trap '' TERM; sleep 600 & echo $! > child; trap '' TERM; while :; do sleep 1; done`, { timeoutMs: 300 });
  expect(result).toMatchObject({ ok: false, exit: { kind: 'timeout', afterMs: 300 } });
  const child = (await readFile(join(cwd, 'child'), 'utf8')).trim();
  await until('the child to be gone', () => !isRunning(child));
});

it('#90 a hook that hangs is stopped in time, though the clock is set back meanwhile', async () => {
  const clock = vi.spyOn(Date, 'now').mockReturnValue(0);
  try {
    const result = await run(`trap '' TERM; while :; do sleep 1; done`, { timeoutMs: 300 });
    expect(result).toMatchObject({ ok: false, exit: { kind: 'timeout' } });
  } finally {
    clock.mockRestore();
  }
});

it('a hook that is stopped may clean up first', async () => {
  const result = await run(`trap 'echo tidied; exit 9' TERM; while :; do sleep 0.1; done`, { timeoutMs: 300 });
  expect(result).toMatchObject({ ok: false, exit: { kind: 'timeout' } });
  expect(result.tail).toContain('tidied');
});

it('a hook ends when the worker has to', async () => {
  const stop = new AbortController();
  const running = run('echo > started; sleep 600', { signal: stop.signal });
  await until('the hook to have started', () => existsSync(join(cwd, 'started')));
  stop.abort();
  expect(await running).toMatchObject({ ok: false, exit: { kind: 'killed', signal: 'SIGTERM' } });
  expect(await run('echo never', { signal: stop.signal })).toMatchObject({ ok: false, exit: { kind: 'not-started' } });
});

it('its input and output can be opened by their names', async () => {
  const result = await run('cat /dev/stdin; cat </proc/self/fd/0; echo to the terminal >>/dev/stderr; echo and here >>/dev/stdout');
  expect(result.tail).toBe('{"schema":1}\n{"schema":1}\nto the terminal\nand here\n');
  expect(await run('echo the only words >/dev/stderr; exit 3')).toMatchObject({ message: 'exit 3: the only words' });
});

it('nothing is left where its input and output were, and nobody can read along', async () => {
  expect(await run(`stat -L -c %a /dev/stdin /dev/stdout; ls -A '${folder}'`)).toMatchObject({ ok: true, tail: '600\n600\n' });
  expect(await readdir(folder)).toEqual([]);
});

it('a hook without a place for its input and output does not start, and says why', async () => {
  const result = await run('touch never', { folder: join(folder, 'gone') });
  expect(result).toMatchObject({ ok: false, exit: { kind: 'not-started' } });
  expect(result.message).toContain('ENOENT');
  expect(existsSync(join(cwd, 'never'))).toBe(false);
});

it('a command too long to be run does not start, and says why', async () => {
  expect(await run(`: ${'x'.repeat(4_000_000)}`)).toMatchObject({ ok: false, exit: { kind: 'not-started' }, message: expect.stringContaining('E2BIG') as string });
  expect(await readdir(folder)).toEqual([]);
});

it('#90 output does not pile up on disk while a hook goes on', async () => {
  const write = 'echo first; head -c 9000000 /dev/zero | tr "\\0" "a"; echo; echo before';
  const wait = 'n=0; while [ $(stat -L -c %s /dev/stderr) -gt 8388608 ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done';
  const result = await run(`${write}; ${wait}; stat -L -c 'left: %s' /dev/stdout; echo after`);
  const left = /a\nbefore\nleft: (\d+)\nafter\n$/.exec(result.tail.slice(-40))?.[1];
  expect(Number(left)).toBeLessThanOrEqual(8_388_608);
  expect(result.tail.length).toBe(64 * 1024);
}, 20_000);

it('#90 megabytes of output are read, and only the end is kept', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const result = await run('head -c 64000000 /dev/zero | tr "\\0" "a"; echo; echo the end');
  expect(result.ok).toBe(true);
  expect(result.tail.length).toBeLessThanOrEqual(64 * 1024);
  expect(result.message).toBe('exit 0: the end');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32_000_000);
});

it('#90 what a hook says last is kept, also when all before it is dropped at that moment', async () => {
  const pauses = Array.from({ length: 40 }, (_, index) => (index * 0.006).toFixed(3));
  const results = await Promise.all(pauses.map((pause) => run(`head -c 9000000 /dev/zero | tr "\\0" "a"; sleep ${pause}; echo; echo the end`)));
  expect(results.map(({ message }) => message.slice(0, 20))).toEqual(pauses.map(() => 'exit 0: the end'));
});

it('#90 what would act on a terminal is shown instead', async () => {
  const result = await run(`printf 'a\\033[31mred\\033]0;title\\007\\r\\nb\\001\\n\\377\\n'`);
  expect(result.tail).toBe('a\\x1b[31mred\\x1b]0;title\\x07\nb\\x01\n\ufffd\n');
});

it('#90 a child left in the background with the output open does not hold the hook up', async () => {
  const result = await run('sleep 600 & echo $! > background; echo done');
  expect(result).toMatchObject({ ok: true, message: 'exit 0: done' });
  const child = (await readFile(join(cwd, 'background'), 'utf8')).trim();
  expect(isRunning(child)).toBe(true);
  process.kill(Number(child));
});

it('a hook that never reads its input is not hurt by a large one', async () => {
  expect(await run('exec 0<&-; exit 0', { stdin: 'x'.repeat(4_000_000) })).toMatchObject({ ok: true });
});

it('a folder that is gone is named as the reason', async () => {
  const gone = join(cwd, 'gone');
  const result = await run('true', { cwd: gone });
  expect(result).toMatchObject({ ok: false, exit: { kind: 'not-started' } });
  expect(result.message).toContain(gone);
});
