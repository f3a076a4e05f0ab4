import { expect, test } from 'vitest';
import type { Exchange } from '../../src/transfer/exchange.js';
import { OverlapDiffers, receive, type Fetching, type Sink } from '../../src/transfer/receive.js';
import { Seams, TAIL_BYTES } from '../../src/transfer/seams.js';
import { Throttle } from '../../src/transfer/throttle.js';
import { content } from '../support/content.js';

const KIB = 1024;
const file = content('received', 256 * KIB);
/** Where the stretch of the connection ends and that of the next one begins. */
const SEAM = 128 * KIB;

/** A part file in memory of which nothing is there yet. */
class Memory implements Sink {
  readonly bytes = Buffer.alloc(file.length);
  readonly extents = [];
  written = 0;

  write(buffers: readonly Buffer[], position: number): Promise<void> {
    const all = Buffer.concat(buffers);
    all.copy(this.bytes, position);
    this.written = Math.max(this.written, position + all.length);
    return Promise.resolve();
  }

  noteCompared(): Promise<void> {
    return Promise.resolve();
  }

  read(): Promise<number> {
    return Promise.resolve(0);
  }
}

/** Takes a body that comes as `chunks`, for a stretch up to the seam behind which another connection has brought `next`. */
async function take(chunks: readonly Buffer[], next: Buffer): Promise<{ part: Memory; stretch: Fetching; error: unknown }> {
  const part = new Memory();
  const seams = new Seams();
  seams.agree('behind', SEAM, SEAM, next);
  const stretch: Fetching = { start: 0, position: 0, end: SEAM };
  const consume = (taken: (chunk: Buffer) => void): Promise<void> =>
    new Promise((resolve) => {
      chunks.forEach((chunk) => taken(chunk));
      resolve();
    });
  const exchange = { consume, hold: () => undefined, release: () => undefined, abort: () => undefined };
  const span = { start: 0, join: 0, overlap: Buffer.alloc(0), end: file.length, total: file.length, limit: null, stretch };
  const error: unknown = await receive(exchange as unknown as Exchange, part, span, new Throttle(), () => undefined, seams).catch((reason: unknown) => reason);
  return { part, stretch, error };
}

const upTo = (end: number): Buffer => file.subarray(0, end);
const behind = (length: number): Buffer => file.subarray(SEAM, SEAM + length);

test('#10 what ends at a seam is written when enough of what follows has come and is the same', async () => {
  const { part, stretch } = await take([upTo(SEAM), behind(KIB)], behind(TAIL_BYTES));
  expect([part.written, stretch.position]).toEqual([SEAM, SEAM]);
  expect(part.bytes.subarray(0, SEAM).equals(upTo(SEAM))).toBe(true);
});

test('#10 with less of what follows, its last 4 KiB are a hole that is fetched again and compared', async () => {
  const { part, stretch } = await take([upTo(SEAM), behind(KIB - 1)], behind(TAIL_BYTES));
  expect([part.written, stretch.position]).toEqual([SEAM - 4 * KIB, SEAM - 4 * KIB]);
});

test('#10 a hole is left, too, when what follows begins alike and then differs', async () => {
  const other = Buffer.from(behind(TAIL_BYTES));
  other[6000] = (other[6000] ?? 0) ^ 1;
  const { part, stretch, error } = await take([upTo(SEAM), behind(4000), file.subarray(SEAM + 4000)], other);
  expect(error).toBeInstanceOf(OverlapDiffers);
  expect([part.written, stretch.position]).toEqual([SEAM - 4 * KIB, SEAM - 4 * KIB]);
});
