import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { spawnDetached, workerEnvironment } from '../../src/platform/detached.js';
import { compile } from '../support/compiled.js';
import { kill } from '../support/poste.js';

let dir: string;
let logPath: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'poste-detached-'));
  logPath = join(dir, 'worker.log');
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const env = { PATH: process.env['PATH'] ?? '' };

function node(script: string, nice = false): Promise<{ pid: number; exited: Promise<number | null> }> {
  return spawnDetached({ file: process.execPath, args: ['-e', script], env: { ...env, ONLY: 'this' }, logPath, nice });
}

test('it has a session of its own, works in /, gets the environment it was given, and writes to the log', async () => {
  const started = await node(`
    const stat = require('fs').readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
    const env = Object.keys(process.env).sort();
    console.log(JSON.stringify({ pid: process.pid, group: +stat[2], session: +stat[3], cwd: process.cwd(), env }));
    console.error('last words');
    process.exitCode = 38;`);
  expect(await started.exited).toBe(38);
  const [first = '', second] = (await readFile(logPath, 'utf8')).split('\n');
  const { pid } = started;
  expect(JSON.parse(first)).toEqual({ pid, group: pid, session: pid, cwd: '/', env: ['ONLY', 'PATH'] });
  expect(second).toBe('last words');
  expect((await stat(logPath)).mode & 0o777).toBe(0o600);
});

test('a signal is told from an exit', async () => {
  const started = await node(`process.kill(process.pid, 'SIGKILL')`);
  expect(await started.exited).toBeNull();
});

test('when asked for, it is niced as a whole and keeps the pid that was told', async () => {
  const started = await node(`console.log(process.pid, require('os').getPriority(0))`, true);
  expect(await started.exited).toBe(0);
  const [pid, priority] = (await readFile(logPath, 'utf8')).trim().split(' ').map(Number);
  expect(pid).toBe(started.pid);
  expect(priority).toBeGreaterThanOrEqual(10);
});

test('without nice on the PATH it starts all the same', async () => {
  const started = await spawnDetached({ file: process.execPath, args: ['-e', ''], env: { PATH: dir }, logPath, nice: true });
  expect(await started.exited).toBe(0);
});

test('a log is added to, and put aside when it is long', async () => {
  await writeFile(logPath, 'before\n');
  await (await node(`console.log('after')`)).exited;
  expect(await readFile(logPath, 'utf8')).toBe('before\nafter\n');
  await writeFile(logPath, 'x'.repeat((1 << 20) + 1));
  await (await node(`console.log('fresh')`)).exited;
  expect(await readFile(logPath, 'utf8')).toBe('fresh\n');
  expect((await stat(`${logPath}.1`)).size).toBe((1 << 20) + 1);
});

test('#67 a symbolic link in the place of the log is not followed', async () => {
  const victim = join(dir, 'victim');
  await writeFile(victim, 'untouched');
  await symlink(victim, logPath);
  await expect(node('')).rejects.toMatchObject({ code: 'ELOOP' });
  expect(await readFile(victim, 'utf8')).toBe('untouched');
});

test('what cannot be started is told', async () => {
  await expect(spawnDetached({ file: join(dir, 'none'), args: [], env, logPath, nice: false })).rejects.toMatchObject({ code: 'ENOENT' });
  const file = join(dir, 'not-executable');
  await writeFile(file, '');
  await chmod(file, 0o600);
  await expect(spawnDetached({ file, args: [], env, logPath, nice: false })).rejects.toMatchObject({ code: 'EACCES' });
});

test('whoever starts it may end at once, and whoever reads that one’s output is not kept waiting', async () => {
  const compiled = await compile('src/platform/detached.ts');
  const script = `
    import { spawnDetached } from ${JSON.stringify(join(compiled, 'src/platform/detached.js'))};
    const { pid } = await spawnDetached({
      file: '/bin/sleep', args: ['1000'], env: ${JSON.stringify(env)}, logPath: ${JSON.stringify(logPath)}, nice: false });
    console.log(pid);`;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 20_000 });
  await rm(compiled, { recursive: true });
  const pid = Number(stdout);
  try {
    expect(status).toBe(0);
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).toBe('/bin/sleep\u00001000\u0000');
  } finally {
    kill(pid);
  }
});

test('a worker gets what it needs of an environment, and no secret', () => {
  const safe = { PATH: '/bin', HOME: '/root', LC_ALL: 'C', XDG_RUNTIME_DIR: '/run', TZ: 'UTC', POSTE_HOME: '/p', POSTE_PROBE_FILE: '/f' };
  const unsafe = { AWS_SECRET_ACCESS_KEY: 's', https_proxy: 'http://u:p@proxy', NODE_OPTIONS: '-r x', POSTE_ID: 'a', TOKEN: 't' };
  expect(workerEnvironment({ ...safe, ...unsafe, LANG: undefined })).toEqual({ ...safe, UV_THREADPOOL_SIZE: '16' });
});

test('a worker is not hidden from a CI runner that ends what its job left', () => {
  expect(workerEnvironment({ RUNNER_TRACKING_ID: 'github_1', JENKINS_NODE_COOKIE: 'c' })).toMatchObject({
    RUNNER_TRACKING_ID: 'github_1',
    JENKINS_NODE_COOKIE: 'c',
  });
});
