import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Reachability, type TroubledPeer } from '../../src/conditions/reachability.js';
import { until } from '../support/wait.js';

const peer = (port: number, change: Partial<TroubledPeer> = {}): TroubledPeer => ({ host: '127.0.0.1', port, isDown: false, since: 1, ...change });

/** Probes that a test answers itself. */
function answered(): { back: () => number; asked: () => number; reachability: Reachability; answer: (answers: boolean) => Promise<void> } {
  let back = 0;
  let asked = 0;
  let resolve: (answers: boolean) => void = () => undefined;
  const probe = (): Promise<boolean> => {
    asked += 1;
    return new Promise((fulfil) => (resolve = fulfil));
  };
  const reachability = new Reachability(() => (back += 1), probe);
  const answer = async (answers: boolean): Promise<void> => {
    resolve(answers);
    await new Promise(setImmediate);
  };
  return { back: () => back, asked: () => asked, reachability, answer };
}

test('#80 a peer that could not be reached and then can be is told, once', async () => {
  const { back, asked, reachability, answer } = answered();
  let now = 0;
  for (const answers of [false, false, true]) {
    reachability.look([peer(1)], now);
    reachability.look([peer(1)], now + 1);
    await answer(answers);
    now += 2000;
  }
  for (; now < 60_000; now += 1000) reachability.look([peer(1)], now);
  expect([back(), asked()]).toEqual([1, 3]);
});

test('a peer that answers the first probe has another trouble: it is asked no more, until it fails anew', async () => {
  const { back, asked, reachability, answer } = answered();
  reachability.look([peer(1)], 0);
  await answer(true);
  for (let now = 1000; now < 60_000; now += 1000) reachability.look([peer(1)], now);
  expect([back(), asked()]).toEqual([0, 1]);
  reachability.look([peer(1, { since: 2, isDown: true })], 60_000);
  await answer(true);
  expect([back(), asked()]).toEqual([1, 2]);
});

test('of many hosts in trouble a few are probed, and whoever is in trouble no more is forgotten', async () => {
  const { back, asked, reachability, answer } = answered();
  reachability.look(Array.from({ length: 100 }, (_, port) => peer(port, { isDown: true })), 0);
  expect(asked()).toBe(4);
  reachability.look([], 10);
  await answer(true);
  expect(back()).toBe(0);
});

test('#80 by real connections: a port that refuses has answered, and so does one that accepts', async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  for (const closed of [false, true]) {
    if (closed) await new Promise((resolve) => server.close(resolve));
    let back = 0;
    const reachability = new Reachability(() => (back += 1));
    reachability.look([peer(port, { isDown: true })], 0);
    await until('the answer', () => back === 1);
    reachability.stop();
  }
});
