import { checkSize, sizeLimit } from '../domain/size.js';
import type { PartHeader } from '../store/extents.js';
import { expectsPage, isStrayPage } from '../domain/verdict.js';
import { createPart } from '../store/part-file.js';
import type { PartFile } from '../store/part.js';
import type { AttemptJob, AttemptObserver, Complete } from './attempt.js';
import type { Exchange } from './exchange.js';
import { receive, type Sink } from './receive.js';
import type { Throttle } from './throttle.js';
import { portal } from './refuse.js';
import { digestOf, wrongDigest } from './verify.js';

/** What is no longer than this and comes in one answer needs no part file: lost with a killed process, it costs no more than that. */
const SMALL_BYTES = 64 * 1024;

export interface SmallFile {
  readonly job: AttemptJob;
  readonly observer: AttemptObserver;
  readonly throttle: Throttle;
  readonly name: string;
}

/** It broke off: what came is in a part file, as that of any other file, and gone on with from there. */
export interface Cut {
  readonly kind: 'cut';
  readonly part: PartFile;
  readonly error: unknown;
}

/** Whether an answer with all of a file's `total` bytes, up to `end`, is kept in memory until it is whole. */
export function isSmall({ isFresh }: AttemptJob, total: number | null, end: number | null): boolean {
  return isFresh === true && total !== null && total > 0 && total === end && total <= SMALL_BYTES;
}

/**
 * Takes a small file's whole body and checks its length and digest.
 * @throws PosteError `checksum`, `wrong-size`; `disk-full` or `io` for what broke off and cannot be kept
 */
export async function takeSmall(exchange: Exchange, header: PartHeader, { job, observer, throttle, name }: SmallFile): Promise<Complete | Cut | ReturnType<typeof portal>> {
  const { temp, task, bootId, spec } = job;
  const { total } = header;
  const body = new Body();
  const report = (): void => observer.progress({ received: body.received, total, connections: 1 });
  try {
    await receive(exchange, body, { start: 0, join: 0, overlap: Buffer.alloc(0), end: total, total, limit: sizeLimit(spec), stretch: { start: 0, position: 0, end: null } }, throttle, report);
  } catch (error) {
    const part = await createPart(temp, task, bootId, header);
    try {
      if (body.received > 0) await part.write(body.bytes, 0);
    } catch (failure) {
      await part.close();
      throw failure;
    }
    return { kind: 'cut', part, error };
  }
  checkSize(spec, body.received);
  await observer.verifying();
  const { sha256, asked } = digestOf(body.bytes, spec.checksum?.algorithm ?? null);
  if (spec.checksum !== null && asked !== spec.checksum.hex.toLowerCase()) {
    if (isStrayPage(expectsPage(spec), header)) return portal(0);
    throw wrongDigest(asked ?? sha256, spec.checksum.hex, { transient: false });
  }
  const { provenance } = header;
  return { kind: 'complete', bytes: body.bytes, size: body.received, sha256, length: 'verified', name, provenance };
}

/** The bytes of a small file while they arrive, in order. */
class Body implements Sink {
  readonly bytes: Buffer[] = [];
  received = 0;

  write(buffers: readonly Buffer[]): Promise<void> {
    // Theirs are read into again.
    for (const buffer of buffers) this.bytes.push(Buffer.from(buffer));
    for (const { length } of buffers) this.received += length;
    return Promise.resolve();
  }

  /** Nothing comes before it, and nothing after. */
  readonly extents = [];

  noteCompared(): Promise<void> {
    return Promise.resolve();
  }

  read(): Promise<number> {
    return Promise.resolve(0);
  }
}
