import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { content, inTurn, serve, sha256, startOrigin } from '../support/origin.js';
import { kill, makeHome, type Home } from '../support/poste.js';
import { figure } from '../support/scale.js';
import { stays, until } from '../support/wait.js';

const MIB = 1 << 20;
const file = content('worker', 6 * MIB);
const stalled = serve(file, { etag: '"a"', stallAt: 2 * MIB });
const slowly = serve(file, { etag: '"a"', bytesPerSecond: 2 * MIB });

test('#43 a worker that is stopped keeps its session: others say that it does not answer, and it goes on when it is let', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  await home.run(['start', origin.at('/file.bin')]);
  const pid = (await home.workerPid()) ?? 0;
  await until('some bytes', async () => (await home.received()) > MIB);
  process.kill(pid, 'SIGSTOP');
  const paused = home.spawn(['pause']);
  const added = home.spawn(['start', origin.at('/other.bin')]);
  const [pause, start] = await Promise.all([paused.exit, added.exit]);
  for (const { code, stderr } of [pause, start]) {
    expect(code).toBe(38);
    expect(stderr).toMatch(new RegExp(`process ${pid}\\) is alive but does not answer`));
  }
  expect((await home.run(['status', '--id', 'default'])).code).toBe(0);
  process.kill(pid, 'SIGCONT');
  expect((await home.run(['attach'])).code).toBe(0);
  const journal = await home.journal();
  expect(journal.filter(({ type }) => type === 'worker.started')).toHaveLength(1);
  // What was to be added stays recorded, the pause was taken back.
  expect((await home.status()).tasks.map(({ sha256: digest }) => digest)).toEqual([sha256(file), sha256(file)]);
  expect(journal.some(({ type }) => type === 'task.paused')).toBe(false);
});

test('#43 a command that is interrupted or killed while the worker does not answer has asked for nothing', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  await home.run(['start', origin.at('/file.bin')]);
  const pid = (await home.workerPid()) ?? 0;
  process.kill(pid, 'SIGSTOP');
  // A command that is ended while it writes may leave what has no name yet: that asks for nothing, and is swept in time.
  const asked = async (): Promise<string[]> => (await readdir(join(home.sessionDir(), 'inbox'))).filter((name) => !name.startsWith('.'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const command = home.spawn(['forget', '--cancel', '--purge']);
    await until('the request', async () => (await asked()).length > 0);
    command.kill(signal);
    expect((await command.exit).code).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(await asked()).toEqual([]);
  }
  const command = home.spawn(['forget', '--cancel', '--purge']);
  await until('the request', async () => (await asked()).length > 0);
  command.kill('SIGKILL');
  await command.exit;
  process.kill(pid, 'SIGCONT');
  expect((await home.run(['claim', '--wait'])).code).toBe(0);
  expect(await asked()).toEqual([]);
});

const DAY_MS = 86_400_000;
const WORKER = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));

/** What sets a process's clock: its time of day goes by the file OFFSET (milliseconds), its monotonic clock does not. */
const CLOCK = `
  import { readFileSync } from 'node:fs';
  const now = Date.now.bind(Date);
  const offset = () => Number(readFileSync(process.env.LC_CLOCK, 'utf8'));
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args) { args.length === 0 ? super(now() + offset()) : super(...args); }
    static now() { return now() + offset(); }
  };`;

test.each([['forward', DAY_MS], ['back', -DAY_MS]])('#44 a clock that is set a day %s under a worker: no crash, no second one, sockets dropped, and on it goes', async (_way, step) => {
  await using home = await makeHome();
  await using origin = await startOrigin(inTurn(stalled, stalled, serve(file, { etag: '"a"', bytesPerSecond: 200_000 })));
  await using other = await startOrigin(() => slowly);
  const clock = join(home.root, 'clock');
  const made = join(home.cwd, 'checks');
  await writeFile(clock, '0');
  await writeFile(join(home.root, 'clock.mjs'), CLOCK);
  const policy = { POSTE_POLICY_POLL: '3600', POSTE_POLICY_HOLD: '0' };
  await home.run(['start', '--only-if', 'echo >> checks', origin.at('/file.bin')], { env: policy });
  await until('some bytes', async () => (await home.received()) === 2 * MIB);
  kill((await home.workerPid()) ?? 0);
  const args = ['--import', join(home.root, 'clock.mjs'), WORKER, 'default'];
  const worker = spawn(process.execPath, args, { env: { ...home.env, ...policy, LC_CLOCK: clock }, stdio: 'ignore' });
  try {
    await until('it to have what there is', async () => (await home.received()) > 3 * MIB, { deadlineMs: 60_000 });
    const checks = (await readFile(made, 'utf8')).length;
    await writeFile(clock, String(step));
    await until('the connection to be dropped', () => origin.log[1]?.ended === 'client');
    await until('the next one', () => origin.log.length === 3);
    await until('the conditions to be looked at again', async () => (await readFile(made, 'utf8')).length > checks);
    expect(await home.workerPid()).toBe(worker.pid);
    // Whoever comes now, by the true clock, finds the session held: no start takes it over.
    expect((await home.run(['start', other.at('/other.bin')])).code).toBe(0);
    expect(await home.workerPid()).toBe(worker.pid);
    expect((await home.run(['attach'])).code).toBe(0);
  } finally {
    if (worker.exitCode === null && worker.signalCode === null) await Promise.race([once(worker, 'exit'), new Promise((resolve) => setTimeout(resolve, 5000))]);
    if (worker.pid !== undefined) kill(worker.pid);
  }
  expect(worker.exitCode).toBe(0);
  const { tasks } = await home.status();
  expect(tasks.map(({ sha256: digest }) => digest)).toEqual([sha256(file), sha256(file)]);
  expect((await home.journal()).filter(({ type }) => type === 'worker.started')).toHaveLength(2);
  expect(origin.log[2]?.range?.start).toBeGreaterThan(3 * MIB);
});

/** A server of `size` zeros, with ranges, that costs no memory. */
async function startZeros(size: number): Promise<{ url: string; [Symbol.dispose]: () => void }> {
  const zeros = Buffer.alloc(1 << 16);
  const server = createServer((request, response) => {
    const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(first);
    const end = last === '' ? size : Math.min(size, Number(last) + 1);
    let left = end - start;
    response.writeHead(206, { etag: '"1"', 'content-length': left, 'content-range': `bytes ${start}-${end - 1}/${size}` });
    const send = (): void => {
      while (left > 0) {
        const part = zeros.subarray(0, left);
        left -= part.length;
        if (!response.write(part)) return;
      }
      response.end();
    };
    response.on('drain', send).on('error', () => undefined);
    send();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const end = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}`, [Symbol.dispose]: end };
}

/** The most memory that the worker had, MiB. */
async function mostMemory(home: Home, pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? Number.NaN) / 1024;
}

test('#42 the worker’s memory does not grow with the file', async () => {
  const most: number[] = [];
  for (const size of [10 * MIB, 400 * MIB]) {
    using zeros = await startZeros(size);
    await using home = await makeHome();
    await using held = await startOrigin(() => serve(file, { stallAt: 1 }));
    // Another task keeps the worker alive until its memory was looked at.
    await home.run(['start', `${zeros.url}/big.bin`, held.at('/held.bin')]);
    await until('the file', async () => (await home.status()).tasks[0]?.state === 'finished', { deadlineMs: 120_000 });
    most.push(await mostMemory(home, (await home.workerPid()) ?? 0));
  }
  const [small = 0, large = 0] = most;
  figure('memory of the worker', `${small.toFixed(0)} MiB for a file of 10 MiB, ${large.toFixed(0)} MiB for one of 400 MiB`);
  expect(large - small).toBeLessThan(48);
});

test('#103 #42 100 000 URLs are queued by one start, in bounded memory, and the worker serves them', async () => {
  const count = 100_000;
  await using home = await makeHome();
  await using origin = await startOrigin(({ path }) => (path === '/f0' || path === '/f99999' ? serve(Buffer.from(path), { etag: '"1"' }) : serve(file, { stallAt: 1 })));
  const lines = Array.from({ length: count }, (_, n) => origin.at(`/f${n}`)).join('\n');
  await writeFile(join(home.cwd, 'urls.txt'), `${lines}\n${origin.at('/f5')}\n`);
  const startedAt = Date.now();
  const started = await home.run(['start', '--quiet', '--paused', '-i', 'urls.txt'], { timeoutMs: 400_000 });
  expect({ code: started.code, stderr: started.stderr }).toEqual({ code: 0, stderr: '' });
  const took = (Date.now() - startedAt) / 1000;
  expect((await home.journal()).filter(({ type }) => type === 'task.added')).toHaveLength(count);
  await home.run(['resume', '1', String(count)], { timeoutMs: 120_000 });
  await until('the first and the last', () => origin.log.length === 2, { deadlineMs: 120_000 });
  const before = origin.log.length;
  await home.run(['resume', '2'], { timeoutMs: 120_000 });
  await until('one more', () => origin.log.length > before, { deadlineMs: 120_000 });
  const most = await mostMemory(home, (await home.workerPid()) ?? 0);
  figure('100 000 URLs', `recorded in ${took.toFixed(1)} s, ${most.toFixed(0)} MiB in the worker`);
  expect(most).toBeLessThan(700);
  await stays('the number of requests', () => origin.log.length, 500);
});

test('#42 ended as a system without memory does it, by SIGKILL and without a word: the next command resumes', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  await home.run(['start', origin.at('/file.bin')]);
  await until('some bytes', async () => (await home.received()) > 2 * MIB);
  kill((await home.workerPid()) ?? 0);
  await until('the worker to be dead', async () => (await home.workerPid()) === null);
  origin.script = () => serve(file, { etag: '"a"' });
  expect((await home.run(['attach'])).code).toBe(0);
  expect((await home.status()).tasks[0]?.sha256).toBe(sha256(file));
  expect(origin.log[1]?.range?.start).toBeGreaterThan(MIB);
});
