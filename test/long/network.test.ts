import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Machine, machineMissing } from '../support/machine.js';
import { NameServer } from '../support/names.js';
import { content, serve, sha256, startOrigin, type Origin, type Script } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { figure } from '../support/scale.js';
import { until } from '../support/wait.js';

/** A client and a server, each a machine of its own, and one cable between them. */

const MB = 1_000_000;
const PORT = 8080;
const CLIENT = '10.9.0.1/24';
const SERVER = '10.9.0.2';
const where = `(${machineMissing ?? 'between two networks of its own'})`;
/** A back-off that nobody would live to see the end of. */
const LONG = { POSTE_BACKOFF: '600' };
const file = content('network', 4 * MB);

interface Wired extends AsyncDisposable {
  readonly client: Machine;
  readonly server: Machine;
  readonly origin: Origin;
  readonly home: Home;
  readonly under: readonly string[];
}

async function wired(script: Script, host = SERVER): Promise<Wired> {
  const client = await Machine.make();
  const server = await Machine.make();
  await client.wireTo(server, 'wire');
  await server.ip(`addr add ${SERVER}/24 dev wire`);
  await server.ip('link set wire up');
  await client.ip(`addr add ${CLIENT} dev wire`);
  await client.ip('link set wire up');
  const origin = await startOrigin(script, { at: { host, port: PORT, listen: () => server.listen('0.0.0.0', PORT) } });
  const home = await makeHome();
  const end = async (): Promise<void> => {
    for (const thing of [home, origin, server, client]) await thing[Symbol.asyncDispose]();
  };
  return { client, server, origin, home, under: client.under(home.cwd), [Symbol.asyncDispose]: end };
}

/** Waits until it is in a back-off that ends long after this test. */
async function longBackoff(home: Home): Promise<string> {
  const reason = await until('a long back-off', async () => {
    const reasons = (await home.status()).tasks[0]?.waiting ?? [];
    return reasons.find(({ code, nextCheckAt }) => code === 'backoff' && Date.parse(nextCheckAt ?? '') - Date.now() > 30_000);
  }, { deadlineMs: 60_000 });
  return reason.message;
}

async function expectWhole({ home, under }: Wired): Promise<void> {
  expect((await home.run(['attach'], { under, timeoutMs: 60_000 })).code).toBe(0);
  await home.run(['claim']);
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
}

test.skipIf(machineMissing)(`#80 offline at the start: waits, says why, and begins within 5 s of the network being there ${where}`, async () => {
  await using net = await wired(() => serve(file, { etag: '"1"' }));
  await net.client.ip('link set wire down');
  expect((await net.home.run(['start', net.origin.at('/file.bin')], { under: net.under, env: LONG })).code).toBe(0);
  expect(await longBackoff(net.home)).toMatch(/cannot be reached.*ENETUNREACH/);
  await net.client.ip('link set wire up');
  const backAt = Date.now();
  await until('the request', () => net.origin.log.length > 0, { deadlineMs: 30_000 });
  const took = (net.origin.log[0]?.time ?? 0) - backAt;
  figure('offline at the start, then online', `asked after ${took} ms (bound 5000)`);
  expect(took).toBeLessThan(5000);
  await expectWhole(net);
});

test.skipIf(machineMissing)(`#80 offline spends no tries, however many are made ${where}`, async () => {
  await using net = await wired(() => serve(file, { etag: '"1"' }));
  await net.client.ip('link set wire down');
  await net.home.run(['start', '--retries', '1', net.origin.at('/file.bin')], { under: net.under, env: { POSTE_BACKOFF: '0.05' } });
  await until('five tries', async () => (await net.home.journal()).filter(({ type }) => type === 'task.retrying').length >= 5);
  expect((await net.home.status()).tasks[0]?.state).toBe('waiting');
  await net.client.ip('link set wire up');
  await expectWhole(net);
});

const slowly = serve(file, { etag: '"1"', bytesPerSecond: MB });

test.skipIf(machineMissing)(`#80 down for 10 s in the middle: goes on within 5 s ${where}`, async () => {
  await using net = await wired(() => slowly);
  await net.home.run(['start', net.origin.at('/file.bin')], { under: net.under, env: LONG });
  await until('some bytes', async () => (await net.home.received()) > MB);
  await net.client.ip('link set wire down');
  await delay(10_000);
  const before = await net.home.received();
  await net.client.ip('link set wire up');
  const backAt = Date.now();
  await until('more bytes', async () => (await net.home.received()) > before, { deadlineMs: 30_000 });
  const took = Date.now() - backAt;
  figure('down for 10 s', `went on after ${took} ms (bound 5000)`);
  expect(took).toBeLessThan(5000);
  await expectWhole(net);
});

test.skipIf(machineMissing)(`#80 down until all hope is given up, behind a cable that looks whole: goes on within 5 s ${where}`, async () => {
  await using net = await wired(() => slowly);
  await net.home.run(['start', '--stall-timeout', '4s', net.origin.at('/file.bin')], { under: net.under, env: LONG });
  await until('some bytes', async () => (await net.home.received()) > MB);
  // Nothing changes at the client's end: the server's address is gone.
  await net.server.ip(`addr del ${SERVER}/24 dev wire`);
  await longBackoff(net.home);
  const requests = net.origin.log.length;
  await net.server.ip(`addr add ${SERVER}/24 dev wire`);
  const backAt = Date.now();
  await until('the next request', () => net.origin.log.length > requests, { deadlineMs: 30_000 });
  const took = (net.origin.log.at(-1)?.time ?? 0) - backAt;
  figure('down until a back-off of minutes', `asked after ${took} ms (bound 5000)`);
  expect(took).toBeLessThan(5000);
  await expectWhole(net);
});

test.skipIf(machineMissing)(`#80 the address moves in the middle: goes on from the new one within 5 s ${where}`, async () => {
  await using net = await wired(() => slowly);
  await net.home.run(['start', net.origin.at('/file.bin')], { under: net.under, env: LONG });
  await until('some bytes', async () => (await net.home.received()) > MB);
  await net.client.ip(`addr del ${CLIENT} dev wire`);
  await net.client.ip('addr add 10.9.0.77/24 dev wire');
  const movedAt = Date.now();
  await until('the next request', () => net.origin.log.length > 1, { deadlineMs: 30_000 });
  const took = (net.origin.log[1]?.time ?? 0) - movedAt;
  figure('another address', `asked after ${took} ms (bound 5000)`);
  expect(took).toBeLessThan(5000);
  expect(net.origin.log[1]?.range?.start).toBeGreaterThan(MB - 65_536);
  await expectWhole(net);
});

test.skipIf(machineMissing)(`#80 an IPv6 address that nothing comes back from costs less than a second ${where}`, async () => {
  await using net = await wired(() => serve(file, { etag: '"1"' }), 'files.test');
  using names = new NameServer(await net.client.udp('127.0.0.1', 53), () => ({ a: [SERVER], aaaa: ['fd00:9:0:0:0:0:0:2'] }));
  // The neighbour has a hardware address, and nobody behind it.
  await net.client.ip('addr add fd00:9::1/64 dev wire nodad');
  await net.client.ip('neigh add fd00:9::2 lladdr 02:00:00:00:00:99 dev wire');
  await net.home.run(['start', net.origin.at('/file.bin')], { under: net.under, env: LONG });
  await expectWhole(net);
  expect(names.questions).toBeGreaterThanOrEqual(2);
  const started = (await net.home.journal()).find(({ type }) => type === 'task.started');
  const took = (net.origin.log[0]?.time ?? 0) - Date.parse(started?.time ?? '');
  figure('an IPv6 black hole', `asked over IPv4 after ${took} ms (bound 1000)`);
  expect(took).toBeLessThan(1000);
});

const tcMissing = await promisify(execFile)('tc', ['-V']).then(() => null, () => 'tc is not installed');

test.skipIf(machineMissing ?? tcMissing)(`#81 three files over 1 Mbit/s, with a stall timeout of 2 s: no false stall ${where}`, async () => {
  const size = 400_000;
  await using net = await wired(() => serve(file.subarray(0, size), { etag: '"1"' }));
  const shape = ['tc', 'qdisc', 'add', 'dev', 'wire', 'root', 'tbf', 'rate', '1mbit', 'burst', '8kb', 'latency', '300ms'];
  await promisify(execFile)('nsenter', ['-t', String(net.server.pid), '-n', ...shape]);
  const startedAt = Date.now();
  const urls = ['a', 'b', 'c'].map((name) => net.origin.at(`/${name}.bin`));
  const result = await net.home.run(['start', '--wait', '--stall-timeout', '2s', ...urls], { under: net.under, env: LONG, timeoutMs: 60_000 });
  expect({ code: result.code, stderr: result.stderr.match(/stall.*/)?.[0] }).toEqual({ code: 0 });
  const seconds = (Date.now() - startedAt) / 1000;
  figure('1 Mbit/s', `${3 * size} bytes in ${seconds.toFixed(1)} s`);
  expect(seconds).toBeGreaterThan((3 * size * 8) / MB - 1);
  expect((await net.home.journal()).filter(({ type }) => type === 'task.retrying')).toEqual([]);
  expect((await net.home.status()).tasks.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
});
