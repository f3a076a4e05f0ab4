import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PosteError } from '../domain/errors.js';
import type { EventBody, SessionEvent } from '../domain/events.js';
import { isLegal, SessionFold, type Session } from '../domain/session.js';
import { syncDir, systemCode, writeFully } from './files.js';
import { JOURNAL_VERSION, JournalReader } from './journal-reader.js';
import { seal } from './sealed.js';

/** What the journal needs of whoever owns the session. */
export interface Fence {
  readonly gen: number;
  stillMine(): Promise<boolean>;
}

/** Looks at the session as it is at that moment, in turn with all other decisions, and says what happens. */
export type Decide = (session: Session | null, now: number) => readonly EventBody[];

interface Pending {
  readonly decide: Decide;
  readonly resolve: (events: SessionEvent[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The append-only journal in the hands of the session's owner. Decisions are taken one after the other;
 * those that arrive while a sync is under way share the next one.
 */
export class Journal {
  readonly #handle: FileHandle;
  readonly #fence: Fence;
  readonly #fold: SessionFold;
  #length: number;
  #lastSeq: number;
  #queue: Pending[] = [];
  #flushing: Promise<void> | null = null;
  #broken: Error | null = null;

  private constructor(handle: FileHandle, fence: Fence, fold: SessionFold, length: number, lastSeq: number) {
    this.#handle = handle;
    this.#fence = fence;
    this.#fold = fold;
    this.#length = length;
    this.#lastSeq = lastSeq;
  }

  /** Opens the journal for its owner and cuts off a torn last line. Creates it, empty, when there is none. */
  static async open(path: string, fence: Fence): Promise<Journal> {
    const reader = new JournalReader(path);
    const fold = new SessionFold();
    let lastSeq = 0;
    for (const event of await reader.poll()) {
      fold.apply(event);
      lastSeq = Math.max(lastSeq, event.seq);
    }
    const handle = await open(path, 'a+', 0o600);
    await handle.truncate(reader.wholeBytes);
    await handle.datasync();
    await syncDir(dirname(path));
    return new Journal(handle, fence, fold, reader.wholeBytes, lastSeq);
  }

  get session(): Session | null {
    return this.#fold.session;
  }

  /** Resolves with the events when they are durable. Events that are impossible by then are left out. */
  commit(decide: Decide): Promise<SessionEvent[]> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#queue.push({ decide, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        const decided = batch.map((pending) => this.#decide(pending));
        const lines = decided.flat().map(encodeEvent);
        if (lines.length > 0) await this.#write(Buffer.from(lines.join('')));
        batch.forEach((pending, index) => {
          pending.resolve(decided[index] ?? []);
        });
      } catch (error) {
        this.#broken = error instanceof Error ? error : new Error(String(error));
        for (const pending of [...batch, ...this.#queue]) pending.reject(error);
        this.#queue = [];
      }
    }
    this.#flushing = null;
  }

  #decide(pending: Pending): SessionEvent[] {
    const time = Date.now();
    const events: SessionEvent[] = [];
    for (const body of pending.decide(this.#fold.session, time)) {
      const event: SessionEvent = { ...body, seq: this.#lastSeq + 1, gen: this.#fence.gen, time };
      if (this.#impossible(event)) continue;
      this.#lastSeq = event.seq;
      this.#fold.apply(event);
      events.push(event);
    }
    return events;
  }

  #impossible(event: SessionEvent): boolean {
    if (event.type === 'task.added' || !('task' in event)) return false;
    const session = this.#fold.session;
    const task = session?.tasks.get(event.task);
    return session === null || task === undefined || !isLegal(task, event, session.settings);
  }

  /** A full disk is waited out: the old state stands meanwhile, and nothing that was decided is lost. */
  async #write(bytes: Buffer): Promise<void> {
    for (;;) {
      if (!(await this.#fence.stillMine())) {
        throw new PosteError('worker', 'another worker has taken this session over; this one stops');
      }
      try {
        await writeFully(this.#handle, bytes, null);
        break;
      } catch (error) {
        await this.#handle.truncate(this.#length);
        if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') throw error;
        await delay(1000);
      }
    }
    await this.#handle.datasync();
    this.#length += bytes.length;
  }
}

function encodeEvent(event: SessionEvent): string {
  const { seq, gen, time, type, ...rest } = event;
  return `${seal({ v: JOURNAL_VERSION, seq, gen, time: new Date(time).toISOString(), type, ...rest })}\n`;
}
