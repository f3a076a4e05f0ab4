/** Bytes `start` (inclusive) to `end` (exclusive). Lists of extents are sorted, disjoint and merged. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** A stretch to fetch; `end` is `null` when nobody knows yet where the file ends. */
export interface Segment {
  readonly start: number;
  readonly end: number | null;
}

export function addExtent(extents: readonly Extent[], added: Extent): readonly Extent[] {
  if (added.end <= added.start) return extents;
  let { start, end } = added;
  const before: Extent[] = [];
  const after: Extent[] = [];
  for (const extent of extents) {
    if (extent.end < start) before.push(extent);
    else if (extent.start > end) after.push(extent);
    else {
      start = Math.min(start, extent.start);
      end = Math.max(end, extent.end);
    }
  }
  return [...before, { start, end }, ...after];
}

/** What is left of `extents` in the first `length` bytes. */
export function clipExtents(extents: readonly Extent[], length: number): readonly Extent[] {
  return extents.filter((extent) => extent.start < length).map(({ start, end }) => ({ start, end: Math.min(end, length) }));
}

export function coveredBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** How many bytes lie without a hole from `offset` on. */
export function bytesAfter(extents: readonly Extent[], offset: number): number {
  const extent = extents.find(({ start, end }) => start <= offset && end > offset);
  return extent === undefined ? 0 : extent.end - offset;
}

/** What is missing of a file of `total` bytes; without a total, the last gap is open. */
export function gapsOf(extents: readonly Extent[], total: number | null): readonly Segment[] {
  const gaps: Segment[] = [];
  let at = 0;
  for (const { start, end } of extents) {
    if (start > at) gaps.push({ start: at, end: start });
    at = end;
  }
  if (total === null) gaps.push({ start: at, end: null });
  else if (at < total) gaps.push({ start: at, end: total });
  return gaps;
}

/** How many bytes lie without a hole right before `offset`. */
export function bytesBefore(extents: readonly Extent[], offset: number): number {
  const extent = extents.find(({ start, end }) => start < offset && end >= offset);
  return extent === undefined ? 0 : offset - extent.start;
}

/** How much before a join is fetched again at most. */
const OVERLAP_BYTES = 64 * 1024;
/** Of what was compared already, so much is compared in every answer: the file may have changed since. A connection that brings less is as good as none. */
const LEAST_OVERLAP_BYTES = 1024;

/**
 * From where to ask for a segment, so that the bytes right before it come again and can be compared. What was compared
 * already is not asked for a third time, but for its end: else a connection that never outlives the overlap would never get anywhere.
 * Without a known end one byte is always repeated, since byte N of N bytes is not a request that a server can grant.
 */
export function overlapStart(extents: readonly Extent[], compared: Extent | null, segment: Segment, overlapBytes: number = OVERLAP_BYTES): number {
  const known = Math.min(overlapBytes, bytesBefore(extents, segment.start));
  const first = segment.start - known;
  const isDone = compared !== null && compared.start <= first && compared.end > first;
  const start = isDone ? Math.max(first, Math.min(compared.end, segment.start - LEAST_OVERLAP_BYTES)) : first;
  return segment.end === null ? Math.min(start, Math.max(0, segment.start - 1)) : start;
}

/** Where a request for `segment` of a file of `total` bytes ends, when it may ask for `mostBytes` at a time; `null` asks for all that follows. */
export function requestEnd({ start, end }: Segment, total: number | null, mostBytes: number | null): number | null {
  const wanted = mostBytes === null ? end : Math.min(end ?? Number.POSITIVE_INFINITY, start + mostBytes);
  return wanted === total ? null : wanted;
}

/** What one of several connections is at: it began at `start`, and everything before `position` has arrived. */
export interface Stretch {
  readonly start: number;
  readonly position: number;
  readonly end: number;
  /** `null` while nobody can tell. */
  readonly bytesPerSecond: number | null;
}

/** The next bytes for a connection: of a gap that nobody is at (`of` is null), or of what the busy connection number `of` is at, which then ends where they start. */
export interface NextStretch {
  readonly start: number;
  readonly end: number;
  readonly of: number | null;
}

/** Who asks for the next stretch. */
export interface Helper {
  /** What it brought so far; `null` while nobody can tell. */
  readonly bytesPerSecond: number | null;
  /** How many more connections begin with it. */
  readonly others: number;
  /** How long answers take to come. */
  readonly answerSeconds: number;
}

/** A stretch is not worth its request below so many bytes, fewer where speeds are known; nor below so many times what the answer takes to come. */
const LEAST_BYTES = 1024 * 1024;
const LEAST_TAIL_BYTES = 128 * 1024;
const ANSWERS = 4;
const LEAST_SECONDS = 0.1;
const ENOUGH_SECONDS = 0.5;
/** While there is plenty, each connection takes so much at a time, from the front: what has arrived is then mostly in one piece, which can be digested. */
const PIECE_SECONDS = 2;
const PIECE_BYTES = 4 * LEAST_BYTES;

/**
 * What a free connection does next, while others are `busy`: so much that all end at the same moment, if their speeds stay what they are.
 * A request that is cut short costs what is under way, so shares are made small before the end, not cut at the end. `null` when its help would
 * cost more than it brings.
 */
export function nextStretch(extents: readonly Extent[], total: number, busy: readonly Stretch[], helper: Helper): NextStretch | null {
  const gaps = gapsOf(busy.reduce<readonly Extent[]>(addExtent, extents), total).map(({ start, end }): Extent => ({ start, end: end ?? total }));
  const usual = mean(busy.flatMap(({ bytesPerSecond }) => (bytesPerSecond === null ? [] : [bytesPerSecond])));
  // A speed that nobody knows is the others'; where nobody knows any, all are equal.
  const speedOf = ({ bytesPerSecond }: { readonly bytesPerSecond: number | null }): number => Math.max(1, bytesPerSecond ?? usual ?? LEAST_BYTES);
  const own = speedOf(helper);
  const left = busy.reduce((sum, { position, end }) => sum + end - position, coveredBytes(gaps));
  const seconds = left / busy.reduce((sum, stretch) => sum + speedOf(stretch), own * (1 + helper.others));
  const leastSeconds = Math.min(ENOUGH_SECONDS, Math.max(LEAST_SECONDS, ANSWERS * helper.answerSeconds));
  const least = usual === null ? LEAST_BYTES : LEAST_TAIL_BYTES;
  const piece = Math.max(least, Math.floor(leastSeconds * own), shareOf(own, seconds));
  const upTo = ({ start, end }: Extent): number => (end - start >= piece + least ? start + piece : end);
  const [gap] = gaps;
  if (gap !== undefined) return { start: gap.start, end: upTo(gap), of: null };
  let longest: { readonly index: number; readonly seconds: number; readonly start: number; readonly end: number } | null = null;
  for (const [index, stretch] of busy.entries()) {
    const { position, end } = stretch;
    const speed = speedOf(stretch);
    const start = position + Math.max(least, shareOf(speed, seconds));
    if (end - start >= least && (longest === null || (end - position) / speed > longest.seconds)) longest = { index, seconds: (end - position) / speed, start, end };
  }
  // Without speeds only the bytes count.
  if (longest === null || (usual !== null && longest.seconds - seconds < leastSeconds)) return null;
  return { start: longest.start, end: upTo(longest), of: longest.index };
}

function shareOf(bytesPerSecond: number, seconds: number): number {
  return Math.floor(Math.min(seconds * bytesPerSecond, Math.max(PIECE_BYTES, PIECE_SECONDS * bytesPerSecond)));
}

/** A connection is far slower than its siblings below this share of their median. */
const LAGS_BELOW = 0.25;
const LEAST_SIBLINGS = 2;
/** What it has left must be worth a new connection, seconds. */
const LAG_SECONDS = 3;

/** The number of a busy connection that a new one would do better than, by what its siblings do; `null` when there is none. */
export function laggard(busy: readonly Stretch[]): number | null {
  for (const [index, { position, end, bytesPerSecond }] of busy.entries()) {
    const siblings = busy.flatMap((other, at) => (at === index || other.bytesPerSecond === null ? [] : [other.bytesPerSecond])).sort((a, b) => a - b);
    const median = siblings[Math.floor(siblings.length / 2)];
    if (median === undefined || siblings.length < LEAST_SIBLINGS || bytesPerSecond === null) continue;
    if (bytesPerSecond < LAGS_BELOW * median && (end - position) / Math.max(1, bytesPerSecond) > LAG_SECONDS) return index;
  }
  return null;
}

function mean(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
