import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../support/wait.js';
import { burner, measure } from './measure.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'poste-measure-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const env = { PATH: process.env['PATH'] ?? '' };

test('processor time of a process that left its parent, session and group is counted, to its end', async () => {
  const file = join(dir, 'used');
  const measuring = measure(burner(file), { cwd: dir, env, mostMs: 30_000 });
  const command = await measuring.command;
  const { code, wallMs, cpuMs } = await measuring.all;
  const burnt = Number(await readFile(file, 'utf8'));
  expect(burnt).toBeGreaterThanOrEqual(300);
  expect(code).toBe(0);
  expect(wallMs).toBe(command.wallMs);
  // The burner counts in hundredths of a second, and to start it costs something too; counted twice it would be 600.
  expect(cpuMs).toBeGreaterThan(burnt - 15);
  expect(cpuMs).toBeLessThan(burnt + 200);
});

test('exit codes and signals are the command\'s own', async () => {
  const run = (script: string) => measure(['sh', '-c', script], { cwd: dir, env, mostMs: 30_000 }).all;
  expect(await run('echo words >&2; exit 3')).toMatchObject({ code: 3, words: 'words' });
  expect((await run('kill -9 $$')).code).toBeNull();
  expect((await run('setsid sh -c "exit 7" & exit 0')).code).toBe(0);
});

test('a kill reaches what was left in the background, and so does the time limit', async () => {
  const script = ['sh', '-c', 'setsid sh -c \'echo $$ > "$0"; exec sleep 600\' "$0" & exit 0'];
  for (const [n, mostMs] of [600_000, 1000].entries()) {
    const file = join(dir, `pid${n}`);
    const measuring = measure([...script, file], { cwd: dir, env, mostMs });
    const pid = Number(await until('the background process to run', () => readFile(file, 'utf8')));
    expect((await measuring.command).code).toBe(0);
    if (n === 0) measuring.kill();
    await measuring.all;
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  }
});
