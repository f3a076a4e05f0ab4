import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { content, serve, startOrigin, type Origin } from '../support/origin.js';
import { makeHome } from '../support/poste.js';
import { figure, SCALE } from '../support/scale.js';
import { heldBytes } from '../support/socket-queues.js';
import { until } from '../support/wait.js';
import { SessionWorker } from '../support/worker.js';

const KILLS = Math.round(500 * SCALE);
/** Sessions at the same time: while one's worker starts, another's is killed. */
const LANES = 4;
const JOBS = 4;
const FILES = 12;
const MIB = 1 << 20;
/** So slow that what the system takes for sending is mostly read at once: only then does what was sent tell what was lost. */
const BYTES_PER_SECOND = [1 * MIB, 2 * MIB, 4 * MIB, 8 * MIB];
/** The longest that a worker lives, from its first new byte. */
const LONGEST_MS = 700;
/** The system confirms what it has received after 40 ms at the latest: then each byte is held at one end only. */
const CONFIRMED_MS = 50;

/** A connection that a kill ended, by how far into the file its answer was. */
interface Cut {
  readonly n: number;
  /** Bytes that the server had sent. */
  readonly sent: number;
  /** Of these, what waited in the system's buffers when the worker died: it had not received them. */
  readonly held: number;
}

/** Bytes that the server sent again after one cut. */
interface Loss {
  readonly file: string;
  /** Of what it had sent. */
  readonly sent: number;
  /** Of what the worker had received. */
  readonly received: number;
  /** What it had not received. */
  readonly held: number;
}

test('#27 #40 kill -9 at any moment of running downloads costs each connection at most 1 MiB, and every file is right', async () => {
  const losses: Loss[] = [];
  let kills = 0;
  let files = 0;
  let beyond = 0;
  const lane = async (name: string): Promise<void> => {
    for (let round = 1; kills < KILLS; round += 1) {
      const session = await runKilled(`${name}.${round}`, () => kills < KILLS && (kills += 1) > 0);
      losses.push(...session.losses);
      beyond += session.beyond;
      files += FILES;
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(String(n + 1))));

  const kib = (bytes: readonly number[]): string =>
    `mean ${Math.round(bytes.reduce((sum, more) => sum + more, 0) / bytes.length / 1024)} KiB, max ${Math.round(Math.max(...bytes) / 1024)} KiB`;
  const sent = losses.map((loss) => loss.sent);
  const received = losses.map((loss) => loss.received);
  figure(
    'random kill -9',
    `${kills} kills, ${losses.length} connections cut, ${files} files right; sent again for each: ${kib(received)} of what was received (bound 1024 KiB), ` +
      `${kib(sent)} with what was still in socket buffers`,
  );
  expect(losses.length).toBeGreaterThanOrEqual(kills);
  expect(losses.filter((loss) => loss.received > MIB)).toEqual([]);
  // Nor was anything else sent twice.
  expect(beyond).toBeLessThanOrEqual(losses.length * MIB + losses.reduce((sum, { held }) => sum + held, 0));
});

/** Downloads some files in one session whose worker is killed at random moments, as often as `mayKill` says. */
async function runKilled(seed: string, mayKill: () => boolean): Promise<{ losses: readonly Loss[]; beyond: number }> {
  await using home = await makeHome();
  const contents = new Map(Array.from({ length: FILES }, (_, n) => [`/${seed}-${n}.bin`, content(`${seed}-${n}`, Math.floor((2 + Math.random() * 8) * MIB))]));
  await using origin = await startOrigin(({ path, n }) => serve(contents.get(path) ?? Buffer.alloc(0), { etag: `"${path}"`, bytesPerSecond: BYTES_PER_SECOND[n % BYTES_PER_SECOND.length] ?? MIB }));
  const input = [...contents.keys()].map((path) => origin.at(path)).join('\n');
  const env = { POSTE_BACKOFF: '0.02' };
  const started = await home.run(['start', '--jobs', String(JOBS), '-i', '-'], { input, env });
  expect({ code: started.code, stderr: started.stderr }).toMatchObject({ code: 0 });
  const worker = new SessionWorker(home, 'default', env);
  worker.adopt(await home.workerPid());

  const cuts: Cut[] = [];
  while ((await lived(worker, origin)) && mayKill() && (await worker.freeze())) {
    await delay(CONFIRMED_MS);
    cuts.push(...cutsOf(origin));
    await worker.kill();
    await worker.start();
  }
  await until('the worker to have done its work', async () => !(await worker.lives()), { deadlineMs: 120_000 });
  expect(worker.findings).toEqual([]);
  expect(await worker.words()).toBe('');

  const claimed = await home.run(['claim'], { timeoutMs: 60_000 });
  expect({ code: claimed.code, stderr: claimed.stderr }).toEqual({ code: 0, stderr: '' });
  expect((await readdir(home.cwd)).length).toBe(FILES);
  for (const [path, bytes] of contents) expect((await readFile(`${home.cwd}${path}`)).equals(bytes), path).toBe(true);
  const size = [...contents.values()].reduce((sum, { length }) => sum + length, 0);
  return { losses: cuts.map((cut) => lossOf(origin, cut)), beyond: origin.refetched(size) };
}

/** Lets a worker live for a random while: mostly from when bytes move again, now and then from its very start. False when it left by itself. */
async function lived(worker: SessionWorker, origin: Origin): Promise<boolean> {
  if (Math.random() < 0.8) {
    const requests = origin.log.length;
    const sent = origin.bodyBytesSent;
    while (origin.log.length === requests || origin.bodyBytesSent === sent) {
      if (!(await worker.lives())) return false;
      await delay(2);
    }
  }
  await delay(Math.random() * LONGEST_MS);
  return worker.lives();
}

/** The connections that a worker's death at this moment ends. */
function cutsOf({ log, port }: Origin): Cut[] {
  const held = heldBytes(port);
  return log.filter(({ ended }) => ended === 'open').map(({ n, bodyBytesSent, clientPort }) => ({ n, sent: bodyBytesSent, held: held.get(clientPort) ?? 0 }));
}

/** How much of what a cut connection had brought the next request for the same file asked for again. */
function lossOf({ log }: Origin, { n, sent, held }: Cut): Loss {
  const entry = log[n - 1];
  if (entry === undefined) throw new Error('no such request');
  const next = log.slice(n).find(({ path }) => path === entry.path);
  const start = entry.range?.start ?? 0;
  const again = start + sent - (next?.range?.start ?? start + sent);
  return { file: entry.path, sent: Math.max(0, again), received: Math.max(0, again - held), held };
}
