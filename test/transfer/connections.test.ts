import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { PartFile } from '../../src/store/part.js';
import { receivedBytes } from '../../src/store/part-file.js';
import { content, serve, startOrigin, status, type Origin } from '../support/origin.js';
import { until } from '../support/wait.js';
import { makeRig, type Rig } from './rig.js';

const MIB = 1 << 20;
/** What one connection may cost beyond its bytes: what is compared on both sides, and what was sent when it was left. */
const PER_REQUEST = 6 * MIB;

/** Runs one attempt; returns the most connections that the origin had at once. */
async function most(origin: Origin, run: () => Promise<unknown>): Promise<number> {
  let seen = 0;
  const looking = setInterval(() => (seen = Math.max(seen, origin.open)), 5);
  await run();
  clearInterval(looking);
  return seen;
}

async function expectWhole(rig: Rig, outcome: Awaited<ReturnType<Rig['run']>>, file: Buffer): Promise<void> {
  expect((await rig.bytesOf(outcome)).equals(file)).toBe(true);
}

test('a server that gives each connection so much gets more connections, and the file is whole', async () => {
  const file = content('limited', 64 * MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 4 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const seen = await most(origin, async () => expectWhole(rig, await rig.run({ connections: 'auto' }), file));
  expect(seen).toBeGreaterThanOrEqual(6);
  expect(origin.refetched(file.length)).toBeLessThan(origin.log.length * MIB);
  expect(rig.told.restarts).toEqual([]);
});

test('where the whole line is full with one, it stays at one', async () => {
  const file = content('unlimited', 16 * MIB);
  // All connections together. It makes up for a moment in which nothing was sent, as a buffer before a line does.
  const bufferMs = 100;
  let freeAt = 0;
  await using origin = await startOrigin(() => async (exchange) => {
    const { start = 0, end } = exchange.request.range ?? {};
    const last = end ?? file.length - 1;
    await exchange.head(206, [['ETag', '"1"'], ['Content-Range', `bytes ${start}-${last}/${file.length}`], ['Content-Length', String(last - start + 1)]]);
    for (let at = start; at <= last; at += 65_536) {
      freeAt = Math.max(freeAt, Date.now() - bufferMs) + 65_536 / 4_000;
      await exchange.pause(Math.max(0, freeAt - Date.now()));
      await exchange.body(file.subarray(at, Math.min(at + 65_536, last + 1)));
    }
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 'auto' }), file);
  // Five more were tried once, and fetched what they had asked for. Cut was the first request, for everything, and hardly any that fell behind.
  expect(new Set(origin.log.map(({ clientPort }) => clientPort)).size).toBeLessThanOrEqual(8);
  expect(origin.log.filter(({ ended }) => ended === 'client').length).toBeLessThanOrEqual(3);
});

test('#34 a server that takes two gets two, and it is no failure', async () => {
  const file = content('two', 24 * MIB);
  await using origin = await startOrigin(() => (exchange) => (exchange.active() > 2 ? status(503) : serve(file, { etag: '"1"', bytesPerSecond: 3 * MIB }))(exchange));
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 'auto' }), file);
  expect(origin.log.filter((entry) => entry.status === 503).length).toBeLessThanOrEqual(4);
});

test('#27 a server that drops every connection after a while: asked again at once, in one attempt', async () => {
  const file = content('drops', 40 * MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', truncateAt: 3 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 'auto' }), file);
});

test('a connection far slower than its siblings is replaced', async () => {
  const file = content('slow one', 96 * MIB);
  let slow = 0;
  await using origin = await startOrigin(({ connection }) => {
    if (connection === 2) slow += 1;
    return serve(file, { etag: '"1"', bytesPerSecond: connection === 2 ? 100_000 : 4 * MIB });
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 5 }), file);
  expect(slow).toBe(1);
});

test('#6 the file changes while several connections fetch it: only the new one is delivered', async () => {
  const [old, fresh] = [content('old', 24 * MIB), content('new', 24 * MIB)];
  await using origin = await startOrigin(({ n }) => serve(n < 3 ? old : fresh, { etag: n < 3 ? '"1"' : '"2"', bytesPerSecond: 6 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.settle(5, { connections: 4 }), fresh);
  expect(rig.told.restarts.length).toBeGreaterThan(0);
});

test('#10 every connection another version under one entity tag: never two of them in one file', async () => {
  const versions = [content('a', 24 * MIB), content('b', 24 * MIB)];
  await using origin = await startOrigin(({ connection }) => serve(versions[connection % 2] ?? Buffer.alloc(0), { etag: '"1"', bytesPerSecond: 8 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.settle(20, { connections: 4 });
  if (outcome.kind === 'complete') {
    const bytes = await rig.bytesOf(outcome);
    expect(versions.some((version) => version.equals(bytes))).toBe(true);
  } else expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'keeps-changing' } });
});

test('#10 another version under the same entity tag, for a connection that comes after the one before it was there: never two in one file', async () => {
  const [old, fresh] = [content('old', 12 * MIB), content('new', 12 * MIB)];
  await using origin = await startOrigin(({ n }) => async (exchange) => {
    if (n > 1) await until('the first to be where the second begins', () => origin.log[0]?.ended === 'client');
    await serve(n === 1 ? old : fresh, { etag: '"1"', ...(n === 1 ? { bytesPerSecond: 8 * MIB } : {}) })(exchange);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.settle(5, { connections: 2 }), fresh);
  expect(rig.told.restarts.length).toBe(1);
});

test('#10 what two connections brought of two versions is gone before anything else is asked for: neither a kill nor a power cut brings it back', async () => {
  const [old, fresh] = [content('old', 12 * MIB), content('new', 12 * MIB)];
  const kept: number[] = [];
  await using origin = await startOrigin(({ n, range }) => async (exchange) => {
    if (n > 1 && range?.start === 0) for (const boot of ['boot', 'the next boot']) kept.push(await receivedBytes(rig.temp, 1, boot));
    if (n === 2) await until('the first to be where the second begins', () => origin.log[0]?.ended === 'client');
    await serve(n === 1 ? old : fresh, { etag: '"1"', ...(n === 1 ? { bytesPerSecond: 8 * MIB } : {}) })(exchange);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 2 }), fresh);
  expect(kept.slice(0, 2)).toEqual([0, 0]);
  expect(rig.told.restarts).toMatchObject([{ bytesDropped: expect.any(Number) as unknown }]);
});

test('#10 the same, where the first one is cut right behind its end, and what came of it happens to be the same: fetched again and compared', async () => {
  const old = content('old', 12 * MIB);
  const fresh = content('new', 12 * MIB);
  let seam = Number.POSITIVE_INFINITY;
  await using origin = await startOrigin(({ n, range }) => async (exchange) => {
    if (n > 2) return serve(fresh, { etag: '"1"' })(exchange);
    if (n === 2) {
      seam = range?.start ?? 0;
      old.copy(fresh, seam, seam, seam + 500);
      await until('the first to be cut', () => origin.log[0]?.ended === 'rst');
      return serve(fresh, { etag: '"1"' })(exchange);
    }
    await exchange.head(206, [['ETag', '"1"'], ['Content-Range', `bytes 0-${old.length - 1}/${old.length}`], ['Content-Length', String(old.length)]]);
    for (let at = 0; at < seam + 500; ) {
      const to = Math.min(at + 65_536, seam + 500);
      await exchange.body(old.subarray(at, to));
      await exchange.pause(at < seam - 65_536 ? 6 : 300);
      at = to;
    }
    await exchange.close('rst');
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.settle(5, { connections: 2 }), fresh);
});

test('#10 the same, from a server that ends each answer where the next connection has begun: nothing to compare is asked for again', async () => {
  const [old, fresh] = [content('old', 24 * MIB), content('new', 24 * MIB)];
  let third = Number.POSITIVE_INFINITY;
  await using origin = await startOrigin(({ n, range }) => async (exchange) => {
    const slowly = { etag: '"1"', bytesPerSecond: 4 * MIB };
    if (n === 1) return serve(old, slowly)(exchange);
    if (n === 3) third = range?.start ?? 0;
    if (n > 2) return serve(fresh, slowly)(exchange);
    await until('the third', () => origin.log.length > 2);
    const start = range?.start ?? 0;
    const end = start < third ? third : old.length;
    return serve(old.subarray(0, end), { ...slowly, contentRange: (first, last) => `bytes ${first}-${last}/${old.length}` })(exchange);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.settle(5, { connections: 3 }), fresh);
});

test('#10 the same, where a connection that has to go has a last write under way: its place is nobody else’s before that is done', async () => {
  const [old, fresh] = [content('old', 12 * MIB), content('new', 12 * MIB)];
  let allowed = 2;
  let isSlow = false;
  const asIs = Reflect.get<PartFile, 'write'>(PartFile.prototype, 'write');
  const write = vi.spyOn(PartFile.prototype, 'write');
  await using origin = await startOrigin(({ n, range }) => async (exchange) => {
    if (n > 2) return serve(fresh, { etag: '"1"' })(exchange);
    const start = range?.start ?? 0;
    await exchange.head(206, [['ETag', '"1"'], ['Content-Range', `bytes ${start}-${old.length - 1}/${old.length}`], ['Content-Length', String(old.length - start)]]);
    // The first waits with all but its beginning until the second is told to go.
    if (n === 1) {
      await exchange.body(old.subarray(0, MIB));
      await until('the second to be left', () => origin.log[1]?.ended === 'client');
      return exchange.body(old.subarray(MIB));
    }
    await exchange.body(old.subarray(start, start + 2 * MIB));
    await exchange.pause(300);
    write.mockImplementation(async function (this: PartFile, buffers, position) {
      if (position > start && !isSlow) {
        isSlow = true;
        await delay(1500);
      }
      return asIs.call(this, buffers, position);
    });
    await exchange.body(old.subarray(start + 2 * MIB, start + 2 * MIB + 150_000));
    await until('its last write to be under way', () => isSlow);
    allowed = 1;
    return exchange.pause(60_000);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  try {
    await expectWhole(rig, await rig.settle(5, { connections: () => allowed }), fresh);
  } finally {
    write.mockRestore();
  }
  expect(isSlow).toBe(true);
});

test('what one connection took over and does not get is the other one’s again, also when that one has come there meanwhile', async () => {
  const file = content('given back', 12 * MIB);
  let seam = Number.POSITIVE_INFINITY;
  await using origin = await startOrigin(({ n, range }) => async (exchange) => {
    if (n === 1) {
      await exchange.head(206, [['ETag', '"1"'], ['Content-Range', `bytes 0-${file.length - 1}/${file.length}`], ['Content-Length', String(file.length)]]);
      for (let at = 0; at < file.length; ) {
        const to = at < seam + 5000 ? Math.min(at + 65_536, seam + 5000, file.length) : file.length;
        await exchange.body(file.subarray(at, to));
        at = to;
        if (at === seam + 5000) await until('the second to be turned down, and that to be known', () => origin.log[1]?.ended === 'complete').then(() => exchange.pause(200));
        else await exchange.pause(4);
      }
      return;
    }
    if (n > 2) return serve(file, { etag: '"1"' })(exchange);
    seam = range?.start ?? 0;
    await until('the first to be there', () => (origin.log[0]?.bodyBytesSent ?? 0) > seam);
    await exchange.pause(200);
    await status(503)(exchange);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.settle(5, { connections: 2 }), file);
  // Bytes put where they do not belong are noticed at the next join.
  expect(rig.told.restarts).toEqual([]);
});

test.each(['not-with-if-range', 'ignore'] as const)('#1 #2 a server with ranges: %s', async (ranges) => {
  const file = content('ranges', 16 * MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', ranges, bytesPerSecond: 8 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  await expectWhole(rig, await rig.run({ connections: 4 }), file);
  if (ranges === 'ignore') expect(origin.log).toHaveLength(1);
});

test('#40 stopped in the middle of many: what has come is kept, and the next attempt fetches the gaps', async () => {
  const file = content('stopped', 48 * MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 4 * MIB }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const stop = new AbortController();
  const first = await rig.run({ connections: 8, signal: stop.signal, onProgress: ({ received }) => received > 24 * MIB && stop.abort() });
  expect(first.kind).toBe('stopped');
  const { length } = origin.log;
  const sent = origin.bodyBytesSent;
  await expectWhole(rig, await rig.run({ connections: 8 }), file);
  expect(origin.bodyBytesSent - sent).toBeLessThan(24 * MIB + (origin.log.length - length) * PER_REQUEST);
  expect(rig.told.restarts).toEqual([]);
});
