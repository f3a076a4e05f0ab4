import { PosteError } from '../domain/errors.js';
import type { PartFile } from '../store/part.js';
import { BodyWriter } from './body-writer.js';
import type { Exchange } from './exchange.js';
import type { Throttle } from './throttle.js';

/** Bytes that are here but not on disk: reading stops above the first and goes on below the second (refetch bound: 1 MiB). */
const HOLD_ABOVE = 640 * 1024;
const RELEASE_BELOW = 256 * 1024;

export interface Span {
  /** Offset of the body's first byte in the file. */
  readonly start: number;
  /** The first byte that is not on disk. */
  readonly join: number;
  /** What is on disk right before `join`: the body must agree. What it brings from before that is skipped. */
  readonly overlap: Buffer;
  /** Where the body must end at the latest. */
  readonly end: number | null;
  /** An error to give up with when bytes go beyond it. */
  readonly limit: { readonly bytes: number; readonly error: PosteError } | null;
}

/** Thrown when the bytes before the join are not those on disk: this is another version, whatever it says of itself. */
export class OverlapDiffers extends Error {}

/**
 * Moves a body into the part file. What arrived is on disk and recorded when this returns or throws.
 * @throws OverlapDiffers; PosteError of the network, of the disk, or `malformed-answer` for more bytes than announced.
 */
export async function receive(exchange: Exchange, part: PartFile, span: Span, throttle: Throttle, onWritten: () => void): Promise<void> {
  const overlapStart = span.join - span.overlap.length;
  let position = span.start;
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
        throw new OverlapDiffers();
      }
    }
    position = to;
    writer.push(chunk.subarray(Math.max(0, Math.min(chunk.length, span.join - from))));
    if (writer.outstanding > HOLD_ABOVE) exchange.hold('disk');
    if (throttle.take(chunk.length, () => exchange.release('rate'))) exchange.hold('rate');
  };
  try {
    await exchange.consume(take);
    if (span.end !== null && position < span.end) {
      throw new PosteError('network', 'the server ended the answer before the end that it announced', { transient: true });
    }
  } finally {
    await writer.drain();
    // Nothing of a chunk that differs was counted.
    const comparedTo = Math.min(position, span.join);
    if (comparedTo > overlapStart) await part.noteCompared({ start: overlapStart, end: comparedTo });
  }
}
