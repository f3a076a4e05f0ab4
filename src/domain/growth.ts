/** How many connections a download has, and whether more bring more. Immutable: {@link grown} gives the next one. */
export type Growth =
  /** Whether the last change helped is being found out: `from` is when its connections had all begun to bring bytes. */
  | { readonly kind: 'measuring'; readonly count: number; readonly since: number; readonly from: Point | null; readonly before: Measured | null; readonly patience: number }
  /** Nothing changes before `until`, monotonic milliseconds. */
  | { readonly kind: 'resting'; readonly count: number; readonly until: number; readonly patience: number };

interface Point {
  readonly at: number;
  readonly bytes: number;
}

interface Measured {
  readonly count: number;
  readonly bytesPerSecond: number;
}

export interface GrowthSample {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** That have arrived over all connections so far. */
  readonly bytes: number;
  /** Every connection has brought some. */
  readonly haveAllBegun: boolean;
  /** Bytes that nobody has received yet. */
  readonly left: number;
  /** The most connections that are allowed. */
  readonly most: number;
}

/** A measurement takes so long, and so many bytes of each connection, but no longer than the last. Milliseconds. */
const LEAST_MS = 60;
const LEAST_BYTES = 256 * 1024;
const LONGEST_MS = 1_000;
const CONFIRM_MS = 500;
/** New connections that bring nothing for so long are measured all the same. */
const LATEST_BEGIN_MS = 2_000;
/** The share of what the new connections would bring at the old ones' speed that they must bring. */
const WORTHWHILE = 0.4;
/** As many as a browser opens to a server, and as many as a download has at most: each step takes round trips, so there are few. */
const FEW = 6;
const MANY = 16;
/** Of a connection that would have little to bring. */
const ROUNDED_OFF = 0.25;
/** What is left must be so many bytes, and more than the present connections bring in so many seconds, to be worth another one. */
const LEAST_LEFT = 8 * 1024 * 1024;
const LEAST_SECONDS_LEFT = 0.5;
/** How long a number that turned out best stands, at first and at most. */
const PATIENCE_MS = 10_000;
const LONGEST_PATIENCE_MS = 160_000;

export function startGrowth(at: number): Growth {
  return { kind: 'measuring', count: 1, since: at, from: null, before: null, patience: PATIENCE_MS };
}

/** One, six, sixteen: each step only when the one before it raised the sum; what rose by less goes back to as many as it takes. */
export function grown(growth: Growth, sample: GrowthSample): Growth {
  const { at, bytes, haveAllBegun, left, most } = sample;
  if (growth.kind === 'resting') {
    if (at < growth.until) return growth;
    return { kind: 'measuring', count: Math.min(growth.count, most), since: at, from: { at, bytes }, before: null, patience: growth.patience };
  }
  const { since, from, before, patience } = growth;
  // The server may have turned the rest of them down.
  const count = Math.min(growth.count, most);
  if (from === null) return haveAllBegun || at - since >= LATEST_BEGIN_MS ? { ...growth, from: { at, bytes } } : growth;
  const elapsed = at - from.at;
  if (elapsed < LEAST_MS || (bytes - from.bytes < count * LEAST_BYTES && elapsed < LONGEST_MS)) return growth;
  const bytesPerSecond = ((bytes - from.bytes) * 1000) / elapsed;
  if (before !== null && bytesPerSecond < before.bytesPerSecond * (1 + (WORTHWHILE * (count - before.count)) / before.count)) {
    // Servers that hold a connection back send in bursts: before going back, a longer look.
    if (elapsed < CONFIRM_MS) return growth;
    const enough = Math.ceil((bytesPerSecond / before.bytesPerSecond) * before.count - ROUNDED_OFF);
    const best = Math.min(Math.max(enough, before.count), count);
    return { kind: 'resting', count: best, until: at + patience, patience: Math.min(2 * patience, LONGEST_PATIENCE_MS) };
  }
  const next = Math.min(count < FEW ? FEW : MANY, most);
  if (next <= count || left < Math.max(LEAST_LEFT, LEAST_SECONDS_LEFT * bytesPerSecond)) return { kind: 'resting', count: Math.min(count, most), until: at + patience, patience };
  return { kind: 'measuring', count: next, since: at, from: null, before: { count, bytesPerSecond }, patience };
}
