import { PosteError } from '../domain/errors.js';
import { bytesAfter } from '../domain/segments.js';
import type { PartFile } from '../store/part.js';
import { BodyWriter } from './body-writer.js';
import type { Exchange } from './exchange.js';
import type { Throttle } from './throttle.js';

/** Bytes that are here but not on disk: reading stops above the first and goes on below the second (refetch bound: 1 MiB). */
const HOLD_ABOVE = 448 * 1024;
const RELEASE_BELOW = 192 * 1024;
/** What a connection reads beyond its own stretch, to be compared with what another one has brought of it. */
export const TAIL_BYTES = 16 * 1024;

export interface Span {
  /** Offset of the body's first byte in the file. */
  readonly start: number;
  /** The first byte that is not on disk. */
  readonly join: number;
  /** What is on disk right before `join`: the body must agree. What it brings from before that is skipped. */
  readonly overlap: Buffer;
  /** Where the body must end at the latest. */
  readonly end: number | null;
  readonly stretch: Fetching;
  /** An error to give up with when bytes go beyond it. */
  readonly limit: { readonly bytes: number; readonly error: PosteError } | null;
}

/** Where a body goes: a part file, or the memory for a small one. */
export type Sink = Pick<PartFile, 'write' | 'noteCompared' | 'read' | 'extents'>;

/** What one connection is at. */
export interface Fetching {
  /** The first byte that has not arrived. */
  position: number;
  /** Where its part ends; it comes nearer when another connection takes the rest over. `null`: wherever the body ends. */
  end: number | null;
}

/** Thrown when the bytes at a join are not those on disk: this is another version, whatever it says of itself. */
export class OverlapDiffers extends Error {
  /** Both sides of the join are on disk: which of them is wrong nobody can tell. */
  readonly isOnDisk: boolean;

  constructor(isOnDisk: boolean) {
    super('the bytes at a join differ');
    this.isOnDisk = isOnDisk;
  }
}

/** Its own part has arrived; what else the answer brings is somebody else's. */
class Enough extends Error {}

/**
 * Moves a body into the part file, as far as the stretch goes. What arrived is on disk and recorded when this returns or throws.
 * @throws OverlapDiffers; PosteError of the network, of the disk, or `malformed-answer` for more bytes than announced.
 */
export async function receive(exchange: Exchange, part: Sink, span: Span, throttle: Throttle, onWritten: () => void): Promise<void> {
  const { stretch } = span;
  const overlapStart = span.join - span.overlap.length;
  let position = span.start;
  const tail: Buffer[] = [];
  let tailStart = 0;
  let tailBytes = 0;
  const writer = new BodyWriter(
    part,
    span.join,
    (outstanding) => {
      if (outstanding < RELEASE_BELOW) exchange.release('disk');
      onWritten();
    },
    (error) => exchange.abort(error),
  );
  const take = (chunk: Buffer): void => {
    const from = position;
    const to = from + chunk.length;
    if (span.end !== null && to > span.end) throw new PosteError('malformed-answer', 'the server sends more bytes than it announced');
    if (span.limit !== null && to > span.limit.bytes) throw span.limit.error;
    if (from < span.join) {
      const shared = chunk.subarray(Math.max(0, overlapStart - from), Math.max(0, span.join - from));
      const at = Math.max(from, overlapStart) - overlapStart;
      if (!shared.equals(span.overlap.subarray(at, at + shared.length))) {
        throw new OverlapDiffers(false);
      }
    }
    position = to;
    const last = stretch.end ?? Number.POSITIVE_INFINITY;
    writer.push(chunk.subarray(within(span.join - from, chunk), within(last - from, chunk)));
    stretch.position = Math.max(stretch.position, Math.min(to, last));
    if (to > last) {
      const beyond = chunk.subarray(within(last - from, chunk), within(last + TAIL_BYTES - from, chunk));
      if (tail.length === 0) tailStart = last;
      tail.push(beyond);
      tailBytes += beyond.length;
      if (to >= last + TAIL_BYTES && to !== span.end) throw new Enough();
    }
    if (writer.outstanding > HOLD_ABOVE) exchange.hold('disk');
    if (throttle.take(chunk.length, () => exchange.release('rate'))) exchange.hold('rate');
  };
  try {
    await exchange.consume(take).catch((error: unknown) => {
      if (!(error instanceof Enough)) throw error;
    });
    if (span.end !== null && position < Math.min(span.end, stretch.end ?? span.end)) {
      throw new PosteError('network', 'the server ended the answer before the end that it announced', { transient: true });
    }
  } finally {
    await writer.drain();
    // Nothing of a chunk that differs was counted.
    const comparedTo = Math.min(position, span.join);
    if (comparedTo > overlapStart) await part.noteCompared({ start: overlapStart, end: comparedTo });
  }
  if (tailBytes > 0) await compareTail(part, tailStart, Buffer.concat(tail));
}

/** Of what another connection has brought of it by now. */
async function compareTail(part: Sink, start: number, tail: Buffer): Promise<void> {
  const there = Buffer.alloc(Math.min(tail.length, bytesAfter(part.extents, start)));
  await part.read(there, start);
  if (!there.equals(tail.subarray(0, there.length))) throw new OverlapDiffers(true);
}

function within(offset: number, { length }: Buffer): number {
  return Math.max(0, Math.min(length, offset));
}
