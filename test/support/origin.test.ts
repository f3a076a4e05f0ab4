import { request as httpRequest } from 'node:http';
import { expect, test } from 'vitest';
import { altered, content, hangUp, inTurn, loginPage, redirect, routes, serve, startOrigin, status } from './origin.js';
import { until } from './wait.js';

const file = content('origin', 300_000);

interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The code of the error that cut the body short. */
  readonly cut: string | null;
}

async function get(url: string, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Received> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers, agent: false, ...(signal ? { signal } : {}) }, (response) => {
      const parts: Buffer[] = [];
      const done = (cut: string | null): void =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts), cut });
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => done(null));
      response.on('error', (error) => done('code' in error ? String(error.code) : error.message));
    });
    request.on('error', reject).end();
  });
}

test('a file is served whole, by range, and by If-Range as RFC 9110 has it; every byte is in the log', async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  expect((await get(origin.at('/f'))).body.equals(file)).toBe(true);
  const part = await get(origin.at('/f'), { range: 'bytes=100000-', 'if-range': '"a"' });
  expect(part.status).toBe(206);
  expect(part.headers['content-range']).toBe('bytes 100000-299999/300000');
  expect(part.body.equals(file.subarray(100_000))).toBe(true);
  expect((await get(origin.at('/f'), { range: 'bytes=100000-', 'if-range': '"b"' })).status).toBe(200);
  expect((await get(origin.at('/f'), { range: 'bytes=300000-' })).headers['content-range']).toBe('bytes */300000');
  expect(origin.log.map((entry) => entry.bodyBytesSent)).toEqual([300_000, 200_000, 300_000, 0]);
  expect(origin.log[1]).toMatchObject({ method: 'GET', path: '/f', status: 206, range: { start: 100_000, end: null }, ended: 'complete' });
  expect(origin.refetched(300_000)).toBe(500_000);
});

test('a body is cut after exactly the byte asked for, by FIN and by RST, with a length, in chunks and without either', async () => {
  for (const endWith of ['fin', 'rst'] as const) {
    for (const shape of [{}, { chunked: true }, { contentLength: 'none' as const }, { http10: true }]) {
      await using origin = await startOrigin(() => serve(file, { truncateAt: 70_001, endWith, ...shape }));
      // A reset may overtake what was sent before it, the head included.
      const early = (error: NodeJS.ErrnoException): { body: Buffer; cut: string | null } => ({ body: Buffer.alloc(0), cut: error.code ?? null });
      const { body, cut } = await (endWith === 'rst' ? get(origin.at('/f')).catch(early) : get(origin.at('/f')));
      if (endWith === 'fin') expect(body.equals(file.subarray(0, 70_001))).toBe(true);
      // Without a length nothing tells the end of the body from the end of the connection.
      const isEndOpen = shape.contentLength === 'none';
      expect(endWith === 'rst' && isEndOpen ? [null, 'ECONNRESET'] : [isEndOpen ? null : 'ECONNRESET']).toContain(cut);
      expect(origin.log[0]).toMatchObject({ bodyBytesSent: 70_001, ended: endWith });
    }
  }
});

test('stalls, slow bodies and slow heads end when the client goes', async () => {
  await using origin = await startOrigin(
    inTurn(serve(file, { stallAt: 1000 }), serve(file, { bytesPerSecond: 100_000 }), serve(file, { headersDelay: 60_000 })),
  );
  for (const ms of [200, 200, 100]) {
    await get(origin.at('/'), {}, AbortSignal.timeout(ms)).catch(() => undefined);
  }
  await until('all connections to be closed', () => origin.open === 0);
  expect(origin.log.map((entry) => entry.ended)).toEqual(['client', 'client', 'client']);
  expect(origin.log[0]?.bodyBytesSent).toBe(1000);
  expect(origin.log[1]?.bodyBytesSent).toBeLessThan(60_000);
});

test('the other answers: redirects, statuses, log-in pages, nothing at all', async () => {
  await using origin = await startOrigin(
    routes({ '/r': redirect('/s'), '/s': status(503, { retryAfter: 7 }), '/p': loginPage(), '/x': hangUp('rst') }),
  );
  expect((await get(origin.at('/r?query'))).headers.location).toBe('/s');
  expect(await get(origin.at('/s'))).toMatchObject({ status: 503, headers: { 'retry-after': '7' } });
  expect((await get(origin.at('/p'))).headers['content-type']).toMatch('text/html');
  await expect(get(origin.at('/x'))).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect((await get(origin.at('/none'))).status).toBe(404);
});

test('an origin that is down refuses, and comes back on the same port', async () => {
  await using origin = await startOrigin(() => serve(file));
  const url = origin.at('/f');
  await origin.down();
  await expect(get(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await origin.up();
  expect((await get(url)).body.length).toBe(file.length);
});

test('a script that throws fails its test', async () => {
  const origin = await startOrigin(() => {
    throw new Error('a faulty script');
  });
  await expect(get(origin.at('/'))).rejects.toThrow();
  await expect(origin.close()).rejects.toThrow('a faulty script');
});

test('content is the same for the same seed; an altered version is equal up to the byte named', () => {
  expect(content('origin', 300_000).equals(file)).toBe(true);
  const other = altered(file, 200_000);
  expect(other.subarray(0, 200_000).equals(file.subarray(0, 200_000))).toBe(true);
  expect(other[200_000]).not.toBe(file[200_000]);
});
