import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PosteError } from '../domain/errors.js';
import type { EventBody, SessionEvent } from '../domain/events.js';
import { isLegal, type Session, type SessionFold } from '../domain/session.js';
import { naming, openPlain, syncDir, writeFully } from './files.js';
import { JOURNAL_VERSION, JournalReader } from './journal-reader.js';
import { untilRoom } from './room.js';
import { seal } from './sealed.js';
import { hadSession } from './traces.js';

/** What the journal needs of whoever owns the session. */
export interface Fence {
  readonly gen: number;
  stillMine(): Promise<boolean>;
}

/** Looks at the session as it is at that moment, in turn with all other decisions, and says what happens. */
export type Decide = (session: Session | null, now: number) => readonly EventBody[];

/** In one write: the lines of 100 000 new tasks are not all made at once. */
const MOST_LINES = 1000;

interface Pending {
  readonly decide: Decide;
  readonly resolve: (events: SessionEvent[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The append-only journal in the hands of the session's owner. Decisions are taken one after the other;
 * those that arrive while a sync is under way share the next one. After a failed write {@link session} holds what is not on disk:
 * {@link failure} says so, and nothing more may be built on it.
 */
export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #fence: Fence;
  readonly #fold: SessionFold;
  readonly #patience: AbortSignal | null;
  readonly #mark: string;
  #length: number;
  #lastSeq: number;
  #queue: Pending[] = [];
  #flushing: Promise<void> | null = null;
  #failure: Error | null = null;

  private constructor(path: string, handle: FileHandle, fence: Fence, fold: SessionFold, patience: AbortSignal | null, mark: string, length: number, lastSeq: number) {
    this.#path = path;
    this.#handle = handle;
    this.#fence = fence;
    this.#fold = fold;
    this.#patience = patience;
    this.#mark = mark;
    this.#length = length;
    this.#lastSeq = lastSeq;
  }

  /**
   * Opens the journal for its owner and cuts off a torn last line. Creates it, empty, when there is none. A full disk is waited out
   * until `patience` ends; `null` does not wait.
   * @throws PosteError `newer-version`; `damaged` when the beginning cannot be read: an owner would take the session for an empty one
   */
  static async open(path: string, fence: Fence, patience: AbortSignal | null): Promise<Journal> {
    const reader = new JournalReader(path);
    const { fold } = reader;
    let lastSeq = 0;
    await reader.catchUp(({ seq }) => {
      lastSeq = Math.max(lastSeq, seq);
    });
    if (fold.session === null && (reader.damage !== null || (await hadSession(path)))) {
      throw new PosteError('damaged', 'no line of the journal tells what session this is; its files were left alone', {
        hint: `move ${dirname(path)} away to use the name again`,
      });
    }
    const handle = await openPlain(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT);
    if (handle === null) throw new PosteError('no-session', 'the session was removed meanwhile; nothing was changed');
    try {
      await handle.truncate(reader.wholeBytes);
      await handle.datasync();
      await syncDir(dirname(path));
    } catch (error) {
      await handle.close();
      return naming(path)(error);
    }
    const mark = fold.session === null ? randomBytes(4).toString('hex') : reader.mark;
    return new Journal(path, handle, fence, fold, patience, mark, reader.wholeBytes, lastSeq);
  }

  get session(): Session | null {
    return this.#fold.session;
  }

  /** Why nothing can be written any more; `null` while all is well. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Resolves with the events when they are durable. Events that are impossible by then are left out. */
  commit(decide: Decide): Promise<SessionEvent[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#queue.push({ decide, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Does no harm when it was closed before. */
  async close(): Promise<void> {
    await this.#flushing;
    this.#failure ??= new PosteError('internal', 'the journal was closed');
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        const decided = batch.map((pending) => this.#decide(pending));
        const events = decided.flat();
        if (events.length > 0) await this.#write(events);
        batch.forEach((pending, index) => {
          pending.resolve(decided[index] ?? []);
        });
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
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

  /** All of the events, durably, or nothing of them: the old state stands. A failed sync is not tried again, its bytes go. */
  async #write(events: readonly SessionEvent[]): Promise<void> {
    let length = this.#length;
    await untilRoom(async () => {
      if (!(await this.#isUndisturbed(this.#length))) throw displaced();
      length = this.#length;
      try {
        for (let start = 0; start < events.length; start += MOST_LINES) {
          const bytes = Buffer.from(events.slice(start, start + MOST_LINES).map((event) => encodeEvent(event, this.#mark)).join(''));
          await writeFully(this.#handle, bytes, null);
          length += bytes.length;
        }
        await this.#handle.datasync();
      } catch (error) {
        await this.#handle.truncate(this.#length).catch(naming(this.#path));
        naming(this.#path)(error);
      }
    }, this.#patience);
    this.#length = length;
    // Whoever was stopped between the look and the write may have written after the next owner: then nobody counts it.
    if (!(await untilRoom(() => this.#isUndisturbed(this.#length), this.#patience))) throw displaced();
  }

  /**
   * Whether this is still the owner, and the journal as long as this owner has made it. A line of an owner that was thought dead may have
   * come in between what this one read and what it writes: others count such a line, so nothing may be decided without it.
   */
  async #isUndisturbed(length: number): Promise<boolean> {
    return (await this.#handle.stat()).size === length && (await this.#fence.stillMine());
  }
}

function displaced(): PosteError {
  return new PosteError('worker', 'another worker has taken this session over; this one stops');
}

function encodeEvent(event: SessionEvent, mark: string): string {
  const { seq, gen, time, type, ...rest } = event;
  const line = { v: JOURNAL_VERSION, seq, gen, time: new Date(time).toISOString(), type, ...rest };
  return `${type === 'session.created' ? seal({ ...line, mark }) : seal(line, mark)}\n`;
}
