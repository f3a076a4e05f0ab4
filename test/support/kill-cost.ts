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

/** What one kill cost one file. */
export interface Cost {
  readonly path: string;
  /** Its connections that the kill ended; one, when it came between two requests. */
  readonly connections: number;
  /** Bytes that the worker had received before it was killed, and the server sent again after it. */
  readonly again: number;
}

const BLOCK_BYTES = 1024;

/** Goes through a server's log and finds what each kill cost each file: of every byte that was sent again, which kill lost it. */
export function costsOf(log: readonly LogEntry[], kills: readonly Kill[], mostBytes: number): Cost[] {
  return [...new Set(log.map(({ path }) => path))].flatMap((path) => costsOfFile(path, log, kills, Math.ceil(mostBytes / BLOCK_BYTES)));
}

function costsOfFile(path: string, log: readonly LogEntry[], kills: readonly Kill[], blocks: number): Cost[] {
  const cuts = new Map(kills.flatMap(({ cuts }) => cuts.map((cut) => [cut.n, cut])));
  /** In which life of the worker, counted by the kills before it, each block was received last; -1: in none yet. */
  const receivedIn = new Int32Array(blocks).fill(-1);
  const again = kills.map(() => 0);
  const connections = kills.map(() => 0);
  const entries = log.filter((entry) => entry.path === path).map((entry) => ({ ...entry, start: entry.range?.start ?? 0, life: kills.filter(({ requests }) => requests < entry.n).length }));
  for (const entry of entries) {
    const { start, life } = entry;
    const cut = cuts.get(entry.n);
    if (cut !== undefined) connections[life] = (connections[life] ?? 0) + 1;
    const end = start + (cut?.sent ?? entry.bodyBytesSent);
    // A connection that the client has closed gave its tail to another one, and what the server had sent of that was never read.
    const thieves = entries.filter((other) => other.life === life && other.n > entry.n && other.start > start).map((other) => other.start);
    const received = entry.ended === 'client' && cut === undefined ? Math.min(end, ...thieves) : end - (cut?.held ?? 0);
    for (const block of blocksIn(start, end)) {
      const before = receivedIn[block] ?? -1;
      if (before >= 0 && before < life) again[before] = (again[before] ?? 0) + BLOCK_BYTES;
    }
    for (const block of blocksIn(start, received)) receivedIn[block] = life;
  }
  return kills.map((_, life) => ({ path, connections: Math.max(1, connections[life] ?? 0), again: again[life] ?? 0 })).filter((cost) => cost.again > 0);
}

/** The blocks that lie wholly between two bytes. */
function* blocksIn(start: number, end: number): Generator<number> {
  for (let block = Math.ceil(start / BLOCK_BYTES); (block + 1) * BLOCK_BYTES <= end; block += 1) yield block;
}
