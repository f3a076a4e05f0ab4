import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { printable } from '../../src/domain/printable.js';
import type { AttemptOutcome } from '../../src/transfer/attempt.js';
import { content, serve, sha256, startOrigin, type Behaviour, type Origin } from '../support/origin.js';
import { makeRig, type Rig } from '../transfer/rig.js';
import { expectInert, fuzz, hostileText } from './fuzz.js';

const SIZE = 150_000;
const CUT = 60_000;
const file = content('the file', SIZE);
const GOOD = { etag: '"a"', lastModified: 'Tue, 01 Jul 2025 10:00:00 GMT' } as const;

/** An answer, well-formed or not, and the bytes that its body stands for. */
interface Wire {
  readonly head: string;
  readonly chunked: boolean;
  readonly payload: Buffer;
  readonly endWith: 'fin' | 'rst';
}

const number = fc.oneof(fc.constantFrom('0', '1', String(CUT), String(SIZE), String(SIZE - CUT), '65536', '-1', '1e3', '9007199254740993', '+5', '0x10', ''), fc.nat(SIZE).map(String));
const range = fc.tuple(fc.constantFrom('bytes', 'bytes', 'bytes', 'items', ''), number, number, fc.oneof(fc.constant('*'), fc.constant(String(SIZE)), number));
/** Without whole line ends: with two of them the head would be over, and what follows the body. */
const latin1 = hostileText().map((text) => Buffer.from(text, 'latin1').toString('latin1').replaceAll('\r\n', '\r'));
const header = fc.oneof(
  { arbitrary: number.map((length) => `Content-Length: ${length}`), weight: 4 },
  { arbitrary: range.map(([unit, first, last, total]) => `Content-Range: ${unit} ${first}-${last}/${total}`), weight: 4 },
  { arbitrary: number.map((total) => `Content-Range: bytes */${total}`), weight: 1 },
  { arbitrary: fc.constantFrom('"a"', '"b"', 'W/"a"', 'a', '""').map((etag) => `ETag: ${etag}`), weight: 3 },
  { arbitrary: fc.constantFrom(GOOD.lastModified, 'Tue, 01 Jul 2025 11:00:00 GMT', 'yesterday').map((date) => `Last-Modified: ${date}`), weight: 2 },
  { arbitrary: fc.constantFrom('Wed, 02 Jul 2025 10:00:00 GMT', 'x').map((date) => `Date: ${date}`), weight: 2 },
  fc.constantFrom('chunked', 'gzip', 'gzip, chunked', 'identity').map((coding) => `Transfer-Encoding: ${coding}`),
  fc.constantFrom('gzip', 'identity', 'br').map((coding) => `Content-Encoding: ${coding}`),
  fc.constantFrom('text/html', 'application/octet-stream', 'multipart/byteranges; boundary=x').map((type) => `Content-Type: ${type}`),
  fc.constantFrom('close', 'keep-alive', 'upgrade').map((option) => `Connection: ${option}`),
  fc.constantFrom('/file', '/elsewhere', 'http://127.0.0.1:1/', 'file:///etc/passwd', '//', '').map((url) => `Location: ${url}`),
  latin1.map((value) => `Content-Disposition: attachment; filename="${value}"`),
  latin1.map((value) => `Retry-After: ${value}`),
  fc.tuple(latin1, latin1).map(([name, value]) => `${name}: ${value}`),
);
const status = fc.oneof(
  { arbitrary: fc.constantFrom(200, 206), weight: 6 },
  fc.constantFrom(100, 101, 204, 302, 304, 401, 404, 412, 416, 429, 500, 503),
  fc.integer({ min: 0, max: 1000 }),
);
const wire: fc.Arbitrary<Wire> = fc
  .record({
    version: fc.oneof({ arbitrary: fc.constant('HTTP/1.1'), weight: 8 }, fc.constantFrom('HTTP/1.0', 'HTTP/2', 'http/1.1', 'ICY', '')),
    status,
    words: fc.oneof(fc.constant('OK'), latin1),
    headers: fc.array(header, { maxLength: 7 }),
    newline: fc.oneof({ arbitrary: fc.constant('\r\n'), weight: 12 }, fc.constantFrom('\n', '\r', '\r\n ')),
    chunked: fc.boolean(),
    length: fc.oneof(fc.constantFrom(0, 1, SIZE, SIZE - CUT), fc.nat(SIZE)),
    endWith: fc.constantFrom('fin', 'rst'),
  })
  .map(({ version, status, words, headers, newline, chunked, length, endWith }) => ({
    head: [`${version} ${status} ${words}`, ...headers, ...(chunked ? ['Transfer-Encoding: chunked'] : []), '', ''].join(newline),
    chunked,
    payload: content('another file', length),
    endWith,
  }));

/** Looks like the rest of the file, but for one thing or another; the bytes are another file's in any case. */
const nearly: fc.Arbitrary<Wire> = fc
  .record({
    start: fc.constantFrom(0, 0, 0, 1, CUT),
    end: fc.constantFrom(SIZE, SIZE, SIZE, SIZE - 1, CUT),
    total: fc.constantFrom(SIZE, SIZE, SIZE, SIZE + 1, '*'),
    status: fc.constantFrom(206, 206, 206, 200, 416),
    etag: fc.constantFrom('"a"', '"a"', '"a"', '"b"', 'W/"a"'),
    longer: fc.constantFrom(0, 0, 0, 1, -1),
    endWith: fc.constantFrom('fin', 'rst'),
  })
  .map(({ start, end, total, status: code, etag, longer, endWith }) => ({
    head: [
      `HTTP/1.1 ${code} OK`,
      `ETag: ${etag}`,
      `Last-Modified: ${GOOD.lastModified}`,
      `Content-Range: bytes ${start}-${end - 1}/${total}`,
      `Content-Length: ${Math.max(0, end - start + longer)}`,
      '',
      '',
    ].join('\r\n'),
    chunked: false,
    payload: content('another file', Math.max(0, end - start + longer)),
    endWith,
  }));

function sends({ head, chunked, payload, endWith }: Wire): Behaviour {
  return async (exchange) => {
    await exchange.write(Buffer.from(head, 'latin1'));
    await exchange.body(payload, chunked ? { framed: (part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]) } : {});
    if (chunked) await exchange.write(Buffer.from('0\r\n\r\n'));
    await exchange.close(endWith);
  };
}

/** What becomes of an attempt is one of the things that may, says so inertly, and a complete file is what was sent. */
async function expectSound(rig: Rig, outcome: AttemptOutcome, sent: readonly Buffer[]): Promise<void> {
  if (outcome.kind === 'stopped') throw new Error('nobody stopped it');
  for (const name of rig.told.names) expectInert(name);
  for (const { reason } of rig.told.restarts) expect(printable(reason)).toBe(reason);
  if (outcome.kind !== 'complete') {
    expectInert(`${outcome.error.message} ${outcome.error.hint ?? ''}`);
    expect(outcome.error.code).not.toBe('internal');
    return;
  }
  const bytes = await rig.bytesOf(outcome);
  expect([bytes.length, sha256(bytes)]).toEqual([outcome.size, outcome.sha256]);
  expect(sent.some((each) => each.includes(bytes))).toBe(true);
}

async function withRig(check: (origin: Origin, rig: Rig) => Promise<void>): Promise<void> {
  await using origin = await startOrigin(() => serve(file, GOOD));
  await using rig = await makeRig({ url: origin.at('/file'), namedBy: 'default', stallTimeoutMs: 2000, maxSize: 10 * SIZE });
  await check(origin, rig);
}

/** Requests over sockets, on a machine that may be busy. */
const PATIENCE = { patienceMs: 15_000 };

describe('whatever a server answers', () => {
  fuzz('#13 #15 #28 #29 #101 the attempt ends with a word, or with the very bytes; and a good server is believed after it', 40, [wire], async (first) => {
    await withRig(async (origin, rig) => {
      origin.script = () => sends(first);
      const outcome = await rig.run();
      await expectSound(rig, outcome, [first.payload, Buffer.concat([Buffer.from(first.head, 'latin1'), first.payload])]);
      if (outcome.kind === 'complete') return;
      origin.script = () => serve(file, GOOD);
      expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
    });
  }, PATIENCE);

  fuzz('#1 #3 #4 #5 #6 #10 #16 #17 #30 half of a file never becomes anything but that file, or a whole other one', 60, [fc.oneof(wire, nearly)], async (second) => {
    await withRig(async (origin, rig) => {
      origin.script = () => serve(file, { ...GOOD, truncateAt: CUT });
      expect(await rig.run()).toMatchObject({ kind: 'retry', progressed: true });
      origin.script = () => sends(second);
      const outcome = await rig.run();
      await expectSound(rig, outcome, [second.payload, Buffer.concat([Buffer.from(second.head, 'latin1'), second.payload])]);
      if (outcome.kind === 'complete') return;
      origin.script = () => serve(file, GOOD);
      expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
    });
  }, PATIENCE);
});
