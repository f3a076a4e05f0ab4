import { PosteError } from '../domain/errors.js';
import { bytesAfter } from '../domain/segments.js';
import type { Restart } from '../domain/verdict.js';
import type { PartFile } from '../store/part.js';
import { BodyWriter } from './body-writer.js';
import type { Exchange } from './exchange.js';
import { TAIL_BYTES, type Seams, type Side } from './seams.js';
import type { Throttle } from './throttle.js';

/** The end of a stretch that waits until what follows it has come; and so much of that must come, if the answer goes so far. */
const HELD_BYTES = 4 * 1024;
const LEAST_TAIL_BYTES = 1024;
/** Bytes that are here but not on disk: reading stops above the first and goes on below the second (refetch bound: 1 MiB). */
const HOLD_ABOVE = 192 * 1024;
const RELEASE_BELOW = 128 * 1024;

export interface Span {
  /** Offset of the body's first byte in the file. */
  readonly start: number;
  /** The first byte that is not on disk. */
  readonly join: number;
  /** What is on disk right before `join`: the body must agree. What it brings from before that is skipped. */
  readonly overlap: Buffer;
  /** Where the body must end at the latest. */
  readonly end: number | null;
  /** Bytes of the whole file; `null` while nobody knows. */
  readonly total: number | null;
  readonly stretch: Fetching;
  /** An error to give up with when bytes go beyond it. */
  readonly limit: { readonly bytes: number; readonly error: PosteError } | null;
}

/** Where a body goes: a part file, or the memory for a small one. Buffers are written, or copied, when `write` resolves: then they are read into again. */
export type Sink = Pick<PartFile, 'write' | 'noteCompared' | 'read' | 'extents'>;

/** What one connection is at. */
export interface Fetching {
  readonly start: number;
  /** The first byte that has not arrived, or waits to be compared with what follows it. */
  position: number;
  /** Where its part ends; it comes nearer when another connection takes the rest over. `null`: wherever the body ends. */
  end: number | null;
}

/** Thrown when an answer is of another version than what is here: because it says so, or, whatever it says, because the bytes at a join differ. */
export class OverlapDiffers extends Error {
  /** Both sides of the join are on disk: which of them is wrong nobody can tell. */
  readonly isOnDisk: boolean;
  readonly restart: Restart;

  constructor(isOnDisk: boolean, restart: Restart = { reason: 'its bytes differ from those that are here, whatever version the server calls it', changed: true }) {
    super(restart.reason);
    this.isOnDisk = isOnDisk;
    this.restart = restart;
  }
}

/** Its own part has arrived; what else the answer brings is somebody else's. */
class Enough extends Error {}

/**
 * Moves a body into the part file, as far as the stretch goes. What arrived is on disk and recorded when this returns or throws; but the last
 * bytes before what another connection fetches are written only when that one's are those that follow in this body, and else are fetched
 * again. So whoever is killed at any moment leaves no two versions side by side that nobody has compared.
 * @throws OverlapDiffers; PosteError of the network, of the disk, or `malformed-answer` for more bytes than announced.
 */
export async function receive(exchange: Exchange, part: Sink, span: Span, throttle: Throttle, onWritten: () => void, seams: Seams | null = null): Promise<void> {
  const writer = new BodyWriter(
    part,
    span.join,
    (outstanding) => {
      if (outstanding < RELEASE_BELOW) exchange.release('disk');
      onWritten();
    },
    (error) => exchange.abort(error),
  );
  const reception = new Reception(part, span, writer, seams);
  const errors: Error[] = [];
  const note = (error: unknown): void => void errors.push(error instanceof Error ? error : new Error(String(error)));
  const take = (chunk: Buffer): void => {
    reception.take(chunk);
    if (writer.outstanding > HOLD_ABOVE) exchange.hold('disk');
    if (throttle.take(chunk.length, () => exchange.release('rate'))) exchange.hold('rate');
  };
  await exchange.consume(take).then(() => reception.checkEnd()).catch(note);
  await reception.joinNext().catch(note);
  await writer.drain().then(() => reception.noteCompared()).catch(note);
  // That two versions are here must not go under, whatever else went wrong.
  const error = errors.find(isOnDisk) ?? errors.findLast((each) => !(each instanceof Enough));
  if (error !== undefined) throw error;
}

export function isOnDisk(error: unknown): boolean {
  return error instanceof OverlapDiffers && error.isOnDisk;
}

/** What becomes of one body, chunk by chunk. */
class Reception {
  readonly #part: Sink;
  readonly #span: Span;
  readonly #writer: BodyWriter;
  readonly #seams: Seams | null;
  readonly #overlapStart: number;
  #position: number;
  /** Where the stretch ends, once the body has come there: from then on it stays. */
  #last: number | null = null;
  #held: Buffer | null = null;
  readonly #tail: Buffer[] = [];

  constructor(part: Sink, span: Span, writer: BodyWriter, seams: Seams | null) {
    this.#part = part;
    this.#span = span;
    this.#writer = writer;
    this.#seams = seams;
    this.#overlapStart = span.join - span.overlap.length;
    this.#position = span.start;
  }

  take(chunk: Buffer): void {
    const { end, total, limit, join, stretch } = this.#span;
    const from = this.#position;
    const to = from + chunk.length;
    if (end !== null && to > end) throw new PosteError('malformed-answer', 'the server sends more bytes than it announced');
    if (limit !== null && to > limit.bytes) throw limit.error;
    if (from < join) this.#compareOverlap(from, chunk);
    this.#position = to;
    if (stretch.end !== null && to >= stretch.end) this.#last ??= stretch.end;
    const last = this.#last ?? to;
    const own = cut(chunk, join - from, last - from);
    this.#compareSeam('behind', stretch.start, Math.max(from, join), own);
    const isHeld = this.#last !== null && this.#last !== total;
    if (own.length > 0) {
      const held = isHeld ? Math.min(own.length, HELD_BYTES) : 0;
      this.#writer.push(own.subarray(0, own.length - held));
      stretch.position = Math.max(stretch.position, Math.min(to, last) - held);
      this.#held = own.subarray(own.length - held);
    }
    if (!isHeld) return;
    const beyond = cut(chunk, last - from, last - from + TAIL_BYTES);
    this.#compareSeam('before', last, Math.max(from, last), beyond);
    this.#tail.push(beyond);
    if (to >= last + TAIL_BYTES && to !== end) throw new Enough();
  }

  /** @throws PosteError when the body ended too early. */
  checkEnd(): void {
    const { end, stretch } = this.#span;
    if (end !== null && this.#position < Math.min(end, this.#last ?? stretch.end ?? end)) {
      throw new PosteError('network', 'the server ended the answer before the end that it announced', { transient: true });
    }
  }

  /** Takes what was held, when enough has come of what follows, and it is what is on disk of it. */
  async joinNext(): Promise<void> {
    const tail = Buffer.concat(this.#tail);
    if (this.#last === null || tail.length === 0) return;
    const there = Buffer.alloc(Math.min(tail.length, bytesAfter(this.#part.extents, this.#last)));
    await this.#part.read(there, this.#last);
    if (!there.equals(tail.subarray(0, there.length))) throw new OverlapDiffers(true);
    if (this.#held === null || tail.length < Math.min(LEAST_TAIL_BYTES, (this.#span.end ?? Infinity) - this.#last)) return;
    this.#writer.push(this.#held);
    this.#span.stretch.position = Math.max(this.#span.stretch.position, this.#last);
  }

  async noteCompared(): Promise<void> {
    // Nothing of a chunk that differs was counted.
    const end = Math.min(this.#position, this.#span.join);
    if (end > this.#overlapStart) await this.#part.noteCompared({ start: this.#overlapStart, end });
  }

  #compareOverlap(from: number, chunk: Buffer): void {
    const { join, overlap } = this.#span;
    const shared = cut(chunk, this.#overlapStart - from, join - from);
    const at = Math.max(from, this.#overlapStart) - this.#overlapStart;
    if (!shared.equals(overlap.subarray(at, at + shared.length))) throw new OverlapDiffers(false);
  }

  #compareSeam(side: Side, offset: number, position: number, bytes: Buffer): void {
    if (this.#seams?.agree(side, offset, position, bytes) !== false) return;
    this.#held = null;
    // Which of two connections has brought another version, nobody can tell.
    throw new OverlapDiffers(true);
  }
}

/** Of `chunk` what lies between two offsets in it, which may be beyond its ends. */
function cut(chunk: Buffer, from: number, to: number): Buffer {
  return chunk.subarray(Math.max(0, from), Math.max(0, to));
}
