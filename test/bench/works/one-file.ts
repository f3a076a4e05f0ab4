import { join } from 'node:path';
import { startNginx, type NginxOptions } from '../../support/nginx.js';
import { aria2, axel, curl, poste, scripted, wget2, type Client } from '../clients.js';
import { fetching, type Goods } from '../download.js';
import { GIBIBYTE, inWords, makeDir, makeFile, MEMORY } from '../place.js';
import { startRelay, type RelayOptions } from '../relay.js';
import { inTurn, SCALE, type Contender, type Result } from '../turns.js';
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

const RATE = 10e6;
const RATES = [RATE, RATE, RATE / 10, RATE, RATE, RATE, RATE, RATE];
const BEST = RATES.reduce((sum, rate) => sum + rate, 0);

export const slowConnection: Work = {
  name: 'slow-connection',
  title: `${inWords(SIZE)} over 8 connections of 10 MB/s, one of them at 1`,
  about: [
    `The third connection is the slow one, and so is whatever takes its place; a ninth gets a 503. \`÷ ideal\`: how many times as long as`,
    `${BEST / 1e6} MB/s would take, the sum of the rates.`,
  ],
  columns: [...DOWNLOAD, { key: 'ideal', title: '÷ ideal' }],
  baseline: 'poste',
  run: () => fromNginx('slow-connection', {}, [poste(), aria2('-x8', '-s8', '-k1M'), axel('-n8')], { rates: RATES, bestRate: BEST }),
  chart: throughput('8 connections of 10 MB/s, one of them at 1'),
};

export const roundTrip: Work = {
  name: 'round-trip',
  title: `${inWords(Math.round(SCALE * 200e6))} with a round trip of 100 ms, at 20 MB/s for each connection`,
  about: ['Every direction is 50 ms late, and the first request of a connection by the handshake’s 100 ms more. The window of TCP is not acted.'],
  columns: DOWNLOAD,
  baseline: 'poste',
  run: () =>
    fromNginx('round-trip', { limitRate: 20e6 }, [poste(), curl(), aria2('-x16', '-s16', '-k1M'), axel('-n16')], { delayMs: 50, size: Math.round(SCALE * 200e6) }),
  chart: throughput('A round trip of 100 ms, 20 MB/s for each connection'),
};

const DROP_AFTER = 20e6;
/** As their users do where connections are lost: they go on until everything is there. */
const PATIENT: readonly Client[] = [
  poste(),
  scripted('curl -C -, again and again', 'curl', 'for try in $(seq 200); do curl -sSf -C - -O "$0" && exit; done; exit 1'),
  aria2('-m0'),
  aria2('-m0', '-x4', '-s4', '-k1M'),
  axel('-n4'),
  wget2('-c', '--tries=0', '--waitretry=0'),
];

export const drops: Work = {
  name: 'drops',
  title: `${inWords(SIZE)} from a server that ends every connection after 20 MB`,
  about: ['By way of a relay on loopback, in each round undisturbed first.'],
  columns: [
    { key: 'undisturbed', title: 'undisturbed s' },
    { key: 'seconds', title: 'dropped s', ratio: 'baseline ÷ this' },
    { key: 'times', title: 'dropped ÷ undisturbed' },
    { key: 'cpu', title: 'CPU s', ratio: 'baseline ÷ this' },
  ],
  baseline: 'poste',
  run: async () => {
    await using dir = await makeDir(MEMORY);
    await using nginx = await startNginx({ buffers: 'speed', under: dir.path });
    const port = portOf(nginx.at('/'));
    await using whole = await startRelay(port, {});
    await using dropping = await startRelay(port, { dropAfter: DROP_AFTER });
    const wanted = new Map([[FILE, await makeFile(join(nginx.root, FILE), FILE, SIZE)]]);
    const common = { wanted, under: dir.path, mostMs: 180_000 };
    const contenders = PATIENT.map((client): Contender => {
      const [undisturbed, dropped] = [fetching(client, { ...common, at: whole.at }), fetching(client, { ...common, at: dropping.at, sent: dropping.sent })];
      const run: Contender['run'] = async () => {
        const before = await undisturbed.run();
        const outcome = before.kind === 'right' ? await dropped.run() : before;
        if (before.kind === 'failed' || outcome.kind === 'failed') return outcome;
        const { seconds: least = NaN } = before.figures;
        const { seconds = NaN, cpu = NaN } = outcome.figures;
        return { ...outcome, figures: { undisturbed: least, seconds, times: seconds / least, cpu } };
      };
      return { ...dropped, run };
    });
    return await inTurn('drops', contenders);
  },
  chart: throughput('Every connection ends after 20 MB'),
};

/** By way of a relay when there is something for it to do. */
async function fromNginx(
  work: string,
  options: NginxOptions,
  clients: readonly Client[],
  { size = SIZE, bestRate, ...way }: RelayOptions & { readonly size?: number; readonly bestRate?: number } = {},
): Promise<Result[]> {
  await using dir = await makeDir(MEMORY);
  await using nginx = await startNginx({ buffers: 'speed', under: dir.path, ...options });
  await using relay = Object.keys(way).length === 0 ? null : await startRelay(portOf(nginx.at('/')), way);
  const wanted = new Map([[FILE, await makeFile(join(nginx.root, FILE), FILE, size)]]);
  const { at, sent } = relay ?? nginx;
  const goods: Goods = { wanted, at, sent, under: dir.path, ...(bestRate === undefined ? {} : { bestRate }) };
  return await inTurn(work, clients.map((client) => fetching(client, goods)));
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
