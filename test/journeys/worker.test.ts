import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, makeHold, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome } from '../support/poste.js';
import { until } from '../support/wait.js';

const MIB = 1 << 20;
const file = content('worker', 6 * MIB);
/** Comes no further than three quarters. */
const partly = serve(file, { etag: '"a"', bytesPerSecond: 4 * MIB, stallAt: 0.75 * file.length });
const quickly = serve(file, { etag: '"a"' });

async function isRunning(pid: number): Promise<boolean> {
  return readFile(`/proc/${pid}/stat`, 'utf8').then((text) => !/\) [ZX] /.test(text), () => false);
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('#41 %s to the worker: a checkpoint within 2 s, and the next one goes on from there', async (signal) => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => partly);
  await home.run(['start', origin.at('/file.bin')]);
  const pid = (await home.workerPid()) ?? 0;
  await until('some bytes', async () => (await home.received()) > 2 * MIB);
  process.kill(pid, signal);
  const at = Date.now();
  await until('the worker to end', async () => !(await isRunning(pid)));
  expect(Date.now() - at).toBeLessThan(2000);
  expect((await home.journal()).at(-1)).toMatchObject({ type: 'worker.exited', reason: `ended by ${signal}` });
  const kept = (await home.status()).tasks[0]?.bytesReceived ?? 0;
  expect(kept).toBeGreaterThan(2 * MIB);
  origin.script = () => quickly;
  expect((await home.run(['attach'])).code).toBe(0);
  // Synced, recorded, and nothing fetched again but the overlap.
  expect(origin.log[1]?.range?.start).toBe(kept - 65_536);
  expect((await home.status()).tasks[0]?.sha256).toBe(sha256(file));
});

test('#50 whoever watches may go: the pipe of attach is closed, and the worker goes on', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', stallAt: 1000 }));
  await home.run(['start', origin.at('/file.bin')]);
  const pid = await home.workerPid();
  for (const flag of ['--json', '--no-color']) await home.sh(`poste attach ${flag} | head -c 1`);
  expect(await home.workerPid()).toBe(pid);
  expect(origin.log.map(({ ended }) => ended)).toEqual(['open']);
});

test('#51 a worker that dies before it is ready: start shows its last words and keeps what was asked for', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  const started = await home.run(['start', origin.at('/file.bin')], { env: { POSTE_POLICY_POLL: 'soon' } });
  expect(started).toMatchObject({ code: 38, stdout: '' });
  expect(started.stderr).toMatch(/did not start.*POSTE_POLICY_POLL must be seconds/s);
  const asked = await home.run(['start', '--json', origin.at('/other.bin')], { env: { POSTE_POLICY_POLL: 'soon' } });
  expect(asked.code).toBe(38);
  expect((await home.run(['attach'])).code).toBe(0);
  expect((await home.status()).tasks.map(({ name, state }) => [name, state])).toEqual([
    ['file.bin', 'finished'],
    ['other.bin', 'finished'],
  ]);
});

test('#52 fewer file descriptors than so many files at once would take: fewer at once, and all come through', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file.subarray(0, 300_000), { etag: '"a"', bytesPerSecond: 400_000 }));
  const urls = Array.from({ length: 40 }, (_, n) => origin.at(`/${n}.bin`)).join('\n');
  const started = await home.sh('ulimit -n 64; exec poste start --jobs 40 -i -', { input: urls });
  expect({ code: started.code, stderr: started.code === 0 ? '' : started.stderr }).toEqual({ code: 0, stderr: '' });
  expect(await readFile(`/proc/${(await home.workerPid()) ?? 0}/limits`, 'utf8')).toMatch(/Max open files +64 /);
  expect((await home.run(['attach'], { timeoutMs: 60_000 })).code).toBe(0);
  expect((await home.status()).counts).toEqual({ finished: 40 });
  const journal = await home.journal();
  expect(journal.filter(({ type }) => type === 'task.retrying')).toEqual([]);
  expect(journal.filter(({ type }) => type === 'worker.started')).toHaveLength(1);
}, 90_000);

test('#52 #62 one task that cannot be written fails with the path named, and the others go on', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => quickly);
  await home.run(['start', '--paused', ...['a', 'b', 'c'].map((name) => origin.at(`/${name}.bin`))]);
  await mkdir(join(home.sessionDir(), 'parts', '2.1.part'), { recursive: true });
  await home.run(['resume']);
  expect((await home.run(['attach'])).code).toBe(17);
  const { tasks } = await home.status();
  expect(tasks.map(({ state }) => state)).toEqual(['finished', 'failed', 'finished']);
  expect(tasks[1]?.error?.message).toContain(join(home.sessionDir(), 'parts', '2.1.part'));
});

test('files of a server that is asked for one at a time come in their order, and one that is given priority is the next', async () => {
  await using home = await makeHome();
  const hold = makeHold(1000);
  await using origin = await startOrigin(({ path }) => serve(file.subarray(0, 100_000), { etag: '"a"', ...(path === '/3.bin' ? { hold } : {}) }));
  const urls = Array.from({ length: 10 }, (_, n) => origin.at(`/${n + 1}.bin`));
  await home.run(['start', '--jobs', '3', '--connections', '1', ...urls], { env: { POSTE_CONNECTIONS_PER_HOST: '1' } });
  await until('the third', () => origin.log.length === 3);
  expect((await home.run(['set', '8', '--priority', 'high'])).code).toBe(0);
  hold.release();
  expect((await home.run(['attach'])).code).toBe(0);
  expect(origin.log.map(({ path }) => path)).toEqual([1, 2, 3, 8, 4, 5, 6, 7, 9, 10].map((n) => `/${n}.bin`));
});
