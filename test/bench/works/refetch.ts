import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startNginx, type Nginx } from '../../support/nginx.js';
import { until } from '../../support/wait.js';
import { aria2, axel, poste, versionOf, type Client } from '../clients.js';
import { measure } from '../measure.js';
import { environment, inWords, makeDir, makeFile, MEBIBYTE, MEMORY, whatIsWrong, type Wanted } from '../place.js';
import { inTurn, SCALE, type Outcome } from '../turns.js';
import type { Work } from '../work.js';

const FILE = 'file.bin';
const SIZE = Math.round(SCALE * 256 * MEBIBYTE);
const MOST_MS = 180_000;

const CLIENTS = [poste('--connections', '16'), aria2('-c', '-x4', '-s4', '-k1M'), aria2('-c', '-x16', '-s16', '-k1M'), axel('-n16')];

export const refetch: Work = {
  name: 'refetch',
  title: `Fetched again after one kill -9 half way, of ${inWords(SIZE)}`,
  about: ['Command and worker are killed when nginx, at 10 MB/s for each connection, has sent half; then the same command again. Counted in nginx’s log.'],
  columns: [
    { key: 'mebibytes', title: 'fetched again, MiB' },
    { key: 'percent', title: '% of the file', digits: 1 },
    { key: 'requests', title: 'requests', digits: 0 },
  ],
  baseline: 'poste --connections 16',
  run: async () => {
    await using dir = await makeDir(MEMORY);
    await using nginx = await startNginx({ limitRate: 10e6, under: dir.path });
    const wanted = new Map([[FILE, await makeFile(join(nginx.root, FILE), FILE, SIZE)]]);
    const contenders = CLIENTS.map((client) => ({
      name: client.name,
      missing: versionOf(client.program) === null ? 'not installed' : null,
      run: () => killedOnce(client, nginx, wanted, dir.path),
    }));
    return await inTurn('refetch', contenders);
  },
};

async function killedOnce(client: Client, nginx: Nginx, wanted: ReadonlyMap<string, Wanted>, under: string): Promise<Outcome> {
  await using dir = await makeDir(under);
  const out = join(dir.path, 'out');
  await mkdir(out);
  const run = () => measure(client.command({ url: nginx.at(`/${FILE}`), list: '', curlList: '' }), { cwd: out, env: environment(dir.path), mostMs: MOST_MS });
  const [sentBefore, loggedBefore] = [nginx.sent(), (await nginx.log()).length];
  const first = run();
  await until('half of the file to be sent', () => nginx.sent() - sentBefore >= SIZE / 2, { deadlineMs: MOST_MS });
  first.kill();
  if ((await first.all).code === 0) return { kind: 'failed', why: 'it was over before it could be killed' };
  const { code, words } = await run().all;
  if (code !== 0) return { kind: 'failed', why: `exit ${code ?? 'by a signal'}: ${words}` };
  const wrong = await whatIsWrong(out, wanted);
  if (wrong !== null) return { kind: 'failed', why: wrong };
  const requests = await logged(nginx, loggedBefore, nginx.sent() - sentBefore);
  const again = requests.reduce((sum, { bodyBytesSent }) => sum + bodyBytesSent, 0) - SIZE;
  return { kind: 'right', figures: { mebibytes: again / MEBIBYTE, percent: (100 * again) / SIZE, requests: requests.length } };
}

/** The log has a request when it has ended: all of them, but for headers and the log's own lines, make up what was sent. */
async function logged(nginx: Nginx, from: number, sent: number): Promise<Awaited<ReturnType<Nginx['log']>>> {
  return await until('all requests to be in the log', async () => {
    const requests = (await nginx.log()).slice(from);
    const bytes = requests.reduce((sum, { bodyBytesSent }) => sum + bodyBytesSent, 0);
    return bytes >= sent - 1024 * (requests.length + 1) ? requests : null;
  });
}
