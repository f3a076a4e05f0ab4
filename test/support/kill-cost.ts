import type { LogEntry } from './exchange.js';

/** A connection that a kill ended. */
export interface Cut {
  /** The request that it answered. */
  readonly n: number;
  /** Bytes of its answer that the server had sent. */
  readonly sent: number;
  /** Of these, what waited in the system's buffers when the worker died: it had not received them. */
  readonly held: number;
}

/** One kill: the requests up to `requests` came before it. */
export interface Kill {
  readonly requests: number;
  readonly cuts: readonly Cut[];
}

/** What one kill cost one connection. */
export interface Cost {
  /** Kills before it. */
  readonly kill: number;
  readonly connection: number;
  /** Bytes that the worker had received by it before it was killed, and the server sent again after that. */
  readonly again: number;
}

const BLOCK_BYTES = 1024;

/** Goes through a server's log and finds what each kill cost: of every byte that was sent again, which connection had brought it, and which kill lost it. */
export function costsOf(log: readonly LogEntry[], kills: readonly Kill[], mostBytes: number): Cost[] {
  const costs = new Map<string, Cost>();
  for (const path of new Set(log.map(({ path }) => path))) {
    for (const { kill, connection } of lostBlocks(log.filter((entry) => entry.path === path), kills, Math.ceil(mostBytes / BLOCK_BYTES))) {
      const key = `${kill} ${connection}`;
      costs.set(key, { kill, connection, again: (costs.get(key)?.again ?? 0) + BLOCK_BYTES });
    }
  }
  return [...costs.values()];
}

/** Each block of one file that had to be sent again, with the kill and the connection that it was lost with. */
function* lostBlocks(log: readonly LogEntry[], kills: readonly Kill[], blocks: number): Generator<{ kill: number; connection: number }> {
  const cuts = new Map(kills.flatMap(({ cuts }) => cuts.map((cut) => [cut.n, cut])));
  const entries = log.map((entry) => ({ ...entry, start: entry.range?.start ?? 0, life: kills.filter(({ requests }) => requests < entry.n).length }));
  /** By which entry each block was received last; -1: by none yet. */
  const receivedBy = new Int32Array(blocks).fill(-1);
  for (const [index, entry] of entries.entries()) {
    const { start, life } = entry;
    const cut = cuts.get(entry.n);
    const end = start + (cut?.sent ?? entry.bodyBytesSent);
    // What another connection asked for had been taken from this one, and what the server had sent of that was never read.
    const thieves = entries.filter((other) => other.life === life && other.n > entry.n && other.start > start).map((other) => other.start);
    const received = Math.min(end - (cut?.held ?? 0), ...thieves);
    for (const block of blocksIn(start, end)) {
      const before = entries[receivedBy[block] ?? -1];
      if (before === undefined || before.life >= life) continue;
      yield { kill: before.life, connection: before.connection };
      // Whatever becomes of it now: that kill has cost it once.
      receivedBy[block] = -1;
    }
    for (const block of blocksIn(start, received)) receivedBy[block] = index;
  }
}

/** The blocks that lie wholly between two bytes. */
function* blocksIn(start: number, end: number): Generator<number> {
  for (let block = Math.ceil(start / BLOCK_BYTES); (block + 1) * BLOCK_BYTES <= end; block += 1) yield block;
}
