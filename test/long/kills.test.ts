import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { costsOf, type Cost, type Cut, type Kill } from '../support/kill-cost.js';
import { content, serve, startOrigin, type Origin } from '../support/origin.js';
import { makeHome } from '../support/poste.js';
import { figure, SCALE } from '../support/scale.js';
import { heldBytes } from '../support/socket-queues.js';
import { until } from '../support/wait.js';
import { SessionWorker } from '../support/worker.js';

const KILLS = Math.round(500 * SCALE);
/** Sessions at the same time: while one's worker starts, another's is killed. */
const LANES = 4;
/** Connections at once: of four files, or all of one. */
const CONNECTIONS = 4;
const FILES = 12;
const MIB = 1 << 20;
/** So slow that what the system takes for sending is mostly read at once: only then does what was sent tell what was lost. */
const BYTES_PER_SECOND = [1 * MIB, 2 * MIB, 4 * MIB, 8 * MIB];
/** The longest that a worker lives, from its first new byte. */
const LONGEST_MS = 700;
/** The system confirms what it has received after 40 ms at the latest: then each byte is held at one end only. */
const CONFIRMED_MS = 50;

test('#27 #40 kill -9 at any moment of running downloads costs each connection at most 1 MiB, and every file is right', async () => {
  const costs: Cost[] = [];
  let kills = 0;
  let files = 0;
  let cuts = 0;
  const lane = async (name: string): Promise<void> => {
    for (let round = 1; kills < KILLS; round += 1) {
      const session = await runKilled(`${name}.${round}`, round % 2 === 0 ? 1 : CONNECTIONS, () => kills < KILLS && (kills += 1) > 0);
      costs.push(...session.costs);
      cuts += session.cuts;
      files += FILES;
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(String(n + 1))));

  const total = costs.reduce((sum, { again }) => sum + again, 0);
  figure(
    'random kill -9',
    `${kills} kills, ${cuts} connections cut, ${files} files right; sent again of what was received, for each connection: ` +
      `mean ${Math.round(total / cuts / 1024)} KiB, max ${Math.round(Math.max(...costs.map(({ again }) => again)) / 1024)} KiB (bound 1024 KiB)`,
  );
  expect(cuts).toBeGreaterThanOrEqual(kills);
  expect(costs.filter(({ again }) => again > MIB)).toEqual([]);
});

/** Downloads some files in one session whose worker is killed at random moments, as often as `mayKill` says. */
async function runKilled(seed: string, connections: number, mayKill: () => boolean): Promise<{ costs: readonly Cost[]; cuts: number }> {
  await using home = await makeHome();
  const contents = new Map(Array.from({ length: FILES }, (_, n) => [`/${seed}-${n}.bin`, content(`${seed}-${n}`, Math.floor((2 + Math.random() * 8) * MIB))]));
  await using origin = await startOrigin(({ path, n }) => serve(contents.get(path) ?? Buffer.alloc(0), { etag: `"${path}"`, bytesPerSecond: BYTES_PER_SECOND[n % BYTES_PER_SECOND.length] ?? MIB }));
  const input = [...contents.keys()].map((path) => origin.at(path)).join('\n');
  const env = { POSTE_BACKOFF: '0.02' };
  const started = await home.run(['start', '--jobs', String(CONNECTIONS / connections), '--connections', String(connections), '-i', '-'], { input, env });
  expect({ code: started.code, stderr: started.stderr }).toMatchObject({ code: 0 });
  const worker = new SessionWorker(home, 'default', env);
  worker.adopt(await home.workerPid());

  const kills: Kill[] = [];
  while ((await lived(worker, origin)) && mayKill() && (await worker.freeze())) {
    await delay(CONFIRMED_MS);
    kills.push({ requests: origin.log.length, cuts: cutsOf(origin) });
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
  const most = Math.max(...[...contents.values()].map(({ length }) => length));
  return { costs: costsOf(origin.log, kills, most), cuts: kills.reduce((sum, { cuts }) => sum + cuts.length, 0) };
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

/** The connections that a worker's death at this moment ends: the server is still sending, or has sent all and not all of it was received. */
function cutsOf({ log, port }: Origin): Cut[] {
  const held = heldBytes(port);
  const last = new Map(log.map((entry) => [entry.clientPort, entry]));
  return [...last.values()]
    .map(({ n, bodyBytesSent, clientPort, ended }) => ({ n, sent: bodyBytesSent, held: held.get(clientPort) ?? 0, ended }))
    .filter((cut) => cut.ended === 'open' || (cut.ended === 'complete' && cut.held > 0));
}
