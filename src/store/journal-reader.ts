import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { PosteError } from '../domain/errors.js';
import { isEvent } from '../domain/event-shapes.js';
import type { SessionEvent } from '../domain/events.js';
import { SessionFold, type Session } from '../domain/session.js';
import { naming, openPlain } from './files.js';
import { unseal } from './sealed.js';

/** With 2 came the mark: an older poste cannot read what is sealed with it. */
export const JOURNAL_VERSION = 2;
const NEWLINE = 0x0a;
const READ_SIZE = 1 << 20;
/** No line that poste writes comes near it, in bytes. What has none of its newlines is not collected in memory. */
const LONGEST_LINE = 16 << 20;

/** What could not be read: lines that fail their checksum, other than a torn last one. */
export interface JournalDamage {
  readonly lines: number;
}

/**
 * Reads a journal from its beginning and goes on where it stopped each time that {@link poll} is called.
 * A last line without its newline is read again by the next call: it may still be in the writing, or be cut off by the next owner,
 * which then writes something else there.
 */
export class JournalReader {
  readonly #path: string;
  #wholeBytes = 0;
  #mark = '';
  #generation = 0;
  #damagedLines = 0;
  #held: FileHandle | null = null;
  /** Bytes of an endless line that were passed over. */
  #skipped = 0;
  /** What the events so far come to. Whoever goes on with it reads no further. */
  readonly fold = new SessionFold();

  constructor(path: string) {
    this.#path = path;
  }

  get session(): Session | null {
    return this.fold.session;
  }

  get damage(): JournalDamage | null {
    return this.#damagedLines === 0 ? null : { lines: this.#damagedLines };
  }

  /** What its lines are sealed with after the first, which tells it; empty for a journal of version 1. */
  get mark(): string {
    return this.#mark;
  }

  /** Bytes of the journal that are whole lines. What follows is torn, or still being written. */
  get wholeBytes(): number {
    return this.#wholeBytes;
  }

  /** Keeps the journal open until {@link close}: what was written before it was removed can still be read after that. */
  async hold(): Promise<void> {
    this.#held ??= await openPlain(this.#path, constants.O_RDONLY);
  }

  async close(): Promise<void> {
    await this.#held?.close();
    this.#held = null;
  }

  /**
   * The events since the last call; none when there is no journal yet.
   * @throws PosteError `newer-version` for a journal that a newer poste wrote; {@link session} then is as far as it can be read.
   *   `damaged` when something else than a file stands in its place
   */
  async poll(): Promise<SessionEvent[]> {
    const events: SessionEvent[] = [];
    await this.catchUp((event) => events.push(event));
    return events;
  }

  /** As {@link poll}, for those who need not keep the events: of 100 000 tasks they are many times what is left of them. */
  async catchUp(onEvent: (event: SessionEvent) => void = () => undefined): Promise<void> {
    const handle = this.#held ?? (await openPlain(this.#path, constants.O_RDONLY));
    if (handle === null) return;
    try {
      const buffer = Buffer.allocUnsafe(READ_SIZE);
      let rest: Buffer = Buffer.alloc(0);
      this.#skipped = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, READ_SIZE, this.#wholeBytes + this.#skipped + rest.length).catch(naming(this.#path));
        rest = this.#take(Buffer.concat([rest, buffer.subarray(0, bytesRead)]), onEvent);
        if (rest.length > LONGEST_LINE) {
          this.#skipped += rest.length;
          rest = Buffer.alloc(0);
        }
        if (bytesRead < READ_SIZE) return;
      }
    } finally {
      if (handle !== this.#held) await handle.close();
    }
  }

  /** Takes what is whole; answers what is not. */
  #take(bytes: Buffer, onEvent: (event: SessionEvent) => void): Buffer {
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      // The end of an endless line is no line.
      const event = this.#parse(this.#skipped > 0 ? '' : bytes.toString('utf8', start, end));
      this.#wholeBytes += this.#skipped + end + 1 - start;
      this.#skipped = 0;
      if (event !== null) {
        this.fold.apply(event);
        onEvent(event);
      }
      start = end + 1;
    }
    return bytes.subarray(start);
  }

  #parse(line: string): SessionEvent | null {
    const record = unseal(line, this.#mark);
    if (record === null) {
      this.#damagedLines += 1;
      return null;
    }
    if (typeof record['v'] === 'number' && record['v'] > JOURNAL_VERSION) {
      throw new PosteError('newer-version', 'this session was written by a newer poste; nothing was changed', {
        hint: 'use that version of poste for it',
      });
    }
    const { mark, ...members } = record;
    const event = decodeEvent(members);
    if (event === null) this.#damagedLines += 1;
    if (event?.type === 'session.created' && typeof mark === 'string') this.#mark = mark;
    // A worker that was thought dead may still write a line: its generation gives it away.
    if (event === null || event.gen < this.#generation) return null;
    this.#generation = event.gen;
    return event;
  }
}

/** What the checksum holds for was written by poste, though perhaps not by one that means the same by it. */
function decodeEvent(record: Record<string, unknown>): SessionEvent | null {
  const { v, ...event } = record;
  if (typeof v !== 'number' || typeof event['time'] !== 'string') return null;
  event['time'] = Date.parse(event['time']);
  return isEvent(event) ? (event as unknown as SessionEvent) : null;
}
