import { join } from 'node:path';
import { startNginx, type Nginx, type NginxOptions } from '../../support/nginx.js';
import { aria2, axel, curl, poste, wget2, type Client } from '../clients.js';
import { fetching, type Goods } from '../download.js';
import { GIBIBYTE, inWords, makeDir, makeFile, MEMORY } from '../place.js';
import { inTurn, SCALE, type Result } from '../turns.js';
import { DOWNLOAD, throughput, type Work } from '../work.js';

const FILE = 'file.bin';
const SIZE = Math.round(SCALE * GIBIBYTE);

/** One gibibyte from nginx, from memory to memory: what a byte costs. */
export const loopback: Work = {
  name: 'loopback',
  title: `${inWords(SIZE)} on loopback, to memory`,
  about: ['What each byte costs when nothing else slows it down.'],
  columns: DOWNLOAD,
  baseline: 'poste',
  run: () => fromNginx('loopback', {}, [poste(), curl(), aria2('-x1'), axel('-n4'), wget2()]),
};

export const limited: Work = {
  name: 'limited',
  title: `${inWords(SIZE)} at 10 MB/s for each connection, 16 allowed`,
  about: ['nginx with `limit_rate` and `limit_conn`; what is beyond 16 gets a 503. At best 160 MB/s.'],
  columns: DOWNLOAD,
  baseline: 'poste',
  run: () => fromNginx('limited', { limitRate: 10e6, mostAtOnce: 16 }, [poste(), aria2('-x16', '-s16', '-k1M'), axel('-n16'), aria2()]),
  chart: throughput('10 MB/s for each connection, 16 allowed'),
};

async function fromNginx(work: string, options: NginxOptions, clients: readonly Client[]): Promise<Result[]> {
  await using dir = await makeDir(MEMORY);
  await using nginx = await startNginx({ buffers: 'speed', under: dir.path, ...options });
  const goods = await goodsOf(nginx, SIZE, dir.path);
  return await inTurn(work, clients.map((client) => fetching(client, goods)));
}

/** One file at an nginx, to be fetched into `under`. */
async function goodsOf(nginx: Nginx, size: number, under: string): Promise<Goods> {
  const file = await makeFile(join(nginx.root, FILE), 'the one file', size);
  return { wanted: new Map([[FILE, file]]), at: (path) => nginx.at(path), sent: () => nginx.sent(), under };
}
