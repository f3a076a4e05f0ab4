import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { content, serve, startOrigin } from '../support/origin.js';
import { until } from '../support/wait.js';
import { startRelay } from './relay.js';

const FILE = content('relayed', 3_000_000);

/** Asks for the file by way of a relay; all that comes until the connection ends, and how long the first byte took. */
async function ask(url: string): Promise<{ head: string; body: Buffer; firstMs: number }> {
  const { port } = new URL(url);
  const startedAt = performance.now();
  const socket = connect(Number(port), '127.0.0.1');
  socket.write('GET /file.bin HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n');
  const chunks: Buffer[] = [];
  let firstMs = 0;
  for await (const chunk of socket) {
    firstMs ||= performance.now() - startedAt;
    chunks.push(chunk as Buffer);
  }
  const all = Buffer.concat(chunks);
  const bodyAt = all.indexOf('\r\n\r\n') + 4;
  return { head: all.subarray(0, bodyAt).toString(), body: all.subarray(bodyAt), firstMs };
}

test('bytes come through as they were, however late and slow', async () => {
  await using origin = await startOrigin(() => serve(FILE));
  await using relay = await startRelay(origin.port, { delayMs: 50, rates: [30e6] });
  const { body, firstMs } = await ask(relay.at('/file.bin'));
  expect(body.equals(FILE)).toBe(true);
  // The handshake's round trip, and the request's.
  expect(firstMs).toBeGreaterThanOrEqual(199);
});

test('a connection ends after exactly so many bytes', async () => {
  await using origin = await startOrigin(() => serve(FILE));
  await using relay = await startRelay(origin.port, { dropAfter: 1_000_000 });
  const { head, body } = await ask(relay.at('/file.bin'));
  expect(head.length + body.length).toBe(1_000_000);
  expect(body.equals(FILE.subarray(0, body.length))).toBe(true);
  expect(relay.sent()).toBe(1_000_000);
});

test('a rate is for one connection at a time; the next one gets a 503, and the rate when it is free again', async () => {
  await using origin = await startOrigin(() => serve(FILE));
  await using relay = await startRelay(origin.port, { rates: [4e6] });
  const url = relay.at('/file.bin');
  const first = ask(url);
  await until('the first to be under way', () => relay.sent() > 0);
  expect((await ask(url)).head).toMatch(/^HTTP\/1\.1 503 /);
  expect((await first).body.equals(FILE)).toBe(true);
  expect((await ask(url)).head).toMatch(/^HTTP\/1\.1 200 /);
});
