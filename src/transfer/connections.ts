import { setTimeout as delay } from 'node:timers/promises';
import { PosteError, type ErrorCode } from '../domain/errors.js';
import { grown, startGrowth, type Growth } from '../domain/growth.js';
import { sampled, startRate } from '../domain/rate.js';
import { laggard, nextStretch, type NextStretch, type Segment } from '../domain/segments.js';
import type { PartFile } from '../store/part.js';
import { Connection, Replaced } from './connection.js';
import type { Exchange } from './exchange.js';
import { isOnDisk, OverlapDiffers, receive, type Span } from './receive.js';
import { Seams } from './seams.js';
import type { Throttle } from './throttle.js';

const TICK_MS = 50;
/** A connection that brought so much before it broke is worth another one at once. */
const WORTH_BYTES = 1024 * 1024;
/** No connection is called slow before. */
const YOUNG_MS = 2_000;
/** How often a slow connection is replaced: after that it is the server's pace. */
const MOST_REPLACEMENTS = 3;
/** A connection that takes the place of one that ended, and is turned down, asks again so often, after so long. */
const MOST_REFUSALS = 2;
const REFUSED_MS = 500;
/** How long a server that minded a connection is not asked for as many again. */
const MINDS_MS = 60_000;

/** An answer that goes on with the version that is here, and what is to be done with it. */
export interface Delivery {
  readonly exchange: Exchange;
  readonly answerMs: number;
  readonly span: Span;
}

export interface ConnectionsContext {
  readonly part: PartFile;
  /** Bytes of the whole file. */
  readonly total: number;
  /** The most connections at this moment, and whether to find out how many help. */
  readonly wanted: () => { readonly most: number; readonly auto: boolean };
  readonly throttle: Throttle;
  /**
   * Asks for more of the version that is here; `continues` when the same connection brought what lies before it. `null` when the server does
   * not give it like this, for now. Rejects when there is another version now, and as an exchange does.
   */
  readonly ask: (segment: Segment, continues: boolean, signal: AbortSignal) => Promise<Delivery | null>;
  /** Called when bytes were written. */
  readonly onWritten: (connections: number) => void;
  readonly signal: AbortSignal;
}

const BROKEN: ReadonlySet<ErrorCode> = new Set(['network', 'dns', 'proxy', 'stalled']);

/** The connections of one download, side by side, each at a stretch of its own: as many as help. */
export class Connections {
  readonly #context: ConnectionsContext;
  readonly #open = new Set<Connection>();
  readonly #serving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #seams = new Seams();
  /** Bytes that connections brought which are closed by now. */
  #earlier = 0;
  #growth: Growth = startGrowth(performance.now());
  /** As many as there may soon be. */
  #expected = 1;
  /** How long answers take to come, about. */
  #answerMs: number | null = null;
  /** What the server takes, as far as it has said so. */
  #ceiling = { count: Number.POSITIVE_INFINITY, until: 0 };
  #failure: Error | null = null;
  /** What the last one died of that broke off. */
  #broken: Error | null = null;

  constructor(context: ConnectionsContext) {
    this.#context = context;
  }

  /**
   * Begins with an answer that is there. When this returns, everything has come or the server does not give the rest like this; what came
   * is on disk and recorded, also when this throws.
   * @throws what {@link receive} and `ask` throw
   */
  async run(first: Delivery): Promise<void> {
    const { part, total } = this.#context;
    const { position, end } = first.span.stretch;
    this.#begin({ start: position, end: end ?? total }, first);
    const timer = setInterval(() => this.#look(), TICK_MS);
    try {
      while (this.#serving.size > 0) await Promise.all(this.#serving);
    } finally {
      clearInterval(timer);
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.#broken !== null && part.received < total) throw this.#broken;
  }

  #begin(stretch: { start: number; end: number }, delivery: Delivery | null): void {
    const connection = new Connection(stretch);
    this.#open.add(connection);
    const serving = this.#serve(connection, delivery)
      .catch((error: unknown) => this.#failed(connection, error instanceof Error ? error : new Error(String(error))))
      .finally(() => {
        this.#open.delete(connection);
        this.#earlier += connection.brought;
        this.#giveBack(connection);
        this.#serving.delete(serving);
      });
    this.#serving.add(serving);
  }

  /** One stretch after the other, until there is nothing more for it to do or it gets nothing. */
  async #serve(connection: Connection, first: Delivery | null): Promise<void> {
    let delivery = first;
    let continues = false;
    let refusals = 0;
    for (;;) {
      const before = connection.position;
      let wasCut = false;
      try {
        delivery ??= await this.#ask(connection, continues);
        if (delivery === null) {
          // Asked again for what it had: the server may not have noticed yet that the one before is gone.
          if (connection.brought === 0 || refusals === MOST_REFUSALS || connection.isLeaving || this.#open.size === 1) {
            this.#turnedDown();
            return;
          }
          refusals += 1;
          await delay(REFUSED_MS, undefined, { signal: AbortSignal.any([this.#context.signal, this.#stop.signal]) });
          continue;
        }
        refusals = 0;
        await this.#receive(connection, delivery);
      } catch (error) {
        if (connection.isLeaving || !(error instanceof Replaced || (isBroken(error) && connection.position - before >= WORTH_BYTES))) throw error;
        connection.abort = new AbortController();
        // The next connection may be faster or slower.
        connection.rate = null;
        connection.ratedFrom = connection.brought;
        wasCut = true;
      } finally {
        delivery?.exchange.discard();
        delivery = null;
      }
      // After a cut the file may be another one: that is a resume like any other.
      continues = !wasCut;
      if (connection.position < connection.end) {
        if (connection.position === before && !wasCut) return;
        continue;
      }
      const next = connection.isLeaving ? null : this.#next(connection);
      if (next === null) return;
      connection.move(next);
      continues = false;
    }
  }

  async #ask({ position, end, abort }: Connection, continues: boolean): Promise<Delivery | null> {
    try {
      return await this.#context.ask({ start: position, end }, continues, AbortSignal.any([this.#context.signal, this.#stop.signal, abort.signal]));
    } catch (error) {
      // Whatever is wrong with one of several connections, the others tell whether it is wrong with the file: it may have come to a server that
      // has another version, or calls it so, while theirs goes on.
      if (this.#open.size === 1 || !(error instanceof PosteError || error instanceof OverlapDiffers)) throw error;
      if (isBroken(error)) this.#broken = error;
      return null;
    }
  }

  async #receive(connection: Connection, { exchange, span, answerMs }: Delivery): Promise<void> {
    this.#answerMs = ((this.#answerMs ?? answerMs) + answerMs) / 2;
    const { part, throttle, onWritten } = this.#context;
    const leave = AbortSignal.any([this.#stop.signal, connection.abort.signal]);
    const abort = (): void => exchange.abort(leave.reason as Error);
    leave.addEventListener('abort', abort);
    if (leave.aborted) abort();
    try {
      await receive(exchange, part, { ...span, stretch: connection }, throttle, () => onWritten(this.#open.size), this.#seams);
    } finally {
      leave.removeEventListener('abort', abort);
    }
  }

  #failed(connection: Connection, error: Error): void {
    if (error instanceof Replaced) return;
    if (isBroken(error) && this.#open.size > 1) {
      this.#broken = error;
      if (connection.brought < WORTH_BYTES) this.#turnedDown();
      return;
    }
    if (this.#failure === null || isOnDisk(error)) this.#failure = error;
    this.#stop.abort(error);
  }

  /** The server, or what lies between, minds another connection. */
  #turnedDown(): void {
    this.#ceiling = { count: Math.max(1, this.#open.size - 1), until: performance.now() + MINDS_MS };
  }

  /** What it took over from another one, and has not begun to bring, is that one's again. */
  #giveBack({ start, position, end }: Connection): void {
    if (position > start) return;
    for (const other of this.#open) if (other.end === start && !other.isLeaving) other.end = end;
  }

  /** For one that has brought what it was at, or a new one. */
  #next(connection: Connection | null): NextStretch | null {
    const busy = [...this.#open].filter((other) => other !== connection);
    const helper = { bytesPerSecond: connection?.stretch.bytesPerSecond ?? null, others: Math.max(0, this.#expected - busy.length - 1), answerSeconds: (this.#answerMs ?? 0) / 1000 };
    const next = nextStretch(this.#context.part.extents, this.#context.total, busy.map(({ stretch }) => stretch), helper);
    const victim = next?.of === null || next === null ? undefined : busy[next.of];
    if (next !== null && victim !== undefined) victim.end = next.start;
    return next;
  }

  /** As many connections as help, and none that lags far behind the others. */
  #look(): void {
    if (this.#stop.signal.aborted) return;
    const now = performance.now();
    for (const connection of this.#open) {
      const { brought, rate, ratedFrom } = connection;
      if (brought > ratedFrom) connection.rate = rate === null ? startRate(now, brought) : sampled(rate, now, brought);
    }
    const { most, helpful, expected } = this.#limits(now);
    this.#expected = expected;
    const open = [...this.#open];
    for (const [index, connection] of open.entries()) connection.isLeaving = index >= helpful;
    for (let count = open.length; count < helpful; count += 1) {
      const next = this.#next(null);
      if (next === null) break;
      this.#begin(next, null);
    }
    // Those that only do not help fetch what they have asked for: it is under way. Those that are not allowed end.
    for (const connection of open.slice(most)) connection.replace();
    const grownUp = open.filter(({ since, replacements, isLeaving }) => !isLeaving && now - since > YOUNG_MS && replacements < MOST_REPLACEMENTS);
    const slow = grownUp[laggard(grownUp.map(({ stretch }) => stretch)) ?? grownUp.length];
    if (slow === undefined) return;
    slow.replacements += 1;
    slow.since = now;
    slow.replace();
  }

  /** How many connections there may be, how many of them help, and how many that may be soon. */
  #limits(now: number): { readonly most: number; readonly helpful: number; readonly expected: number } {
    const { part, total, throttle, wanted } = this.#context;
    const { most: allowed, auto } = wanted();
    const most = now < this.#ceiling.until ? Math.min(allowed, this.#ceiling.count) : allowed;
    if (!auto) return { most, helpful: most, expected: most };
    // One that is held back is slow by order, and no more would be faster.
    if (throttle.isLimited) return { most: 1, helpful: 1, expected: 1 };
    const brought = [...this.#open].map((connection) => connection.brought);
    const haveAllBegun = brought.every((bytes) => bytes > 0);
    const arrived = brought.reduce((sum, bytes) => sum + bytes, this.#earlier);
    this.#growth = grown(this.#growth, { at: now, bytes: arrived, left: total - part.received, haveAllBegun, most });
    const helpful = Math.min(this.#growth.count, most);
    return { most, helpful, expected: this.#growth.kind === 'measuring' ? most : helpful };
  }
}

/** What happens to one connection, or to all while the network is away; nothing that the file or the disk is to blame for. */
function isBroken(error: unknown): error is PosteError {
  return error instanceof PosteError && BROKEN.has(error.code);
}
