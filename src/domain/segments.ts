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

/** A connection is not worth its handshake below this many bytes. */
const SMALLEST_SPLIT = 8 * 1024 * 1024;

/** What to fetch next, side by side on at most `connections` connections: the first gaps, the longest of them halved. */
export function planSegments(extents: readonly Extent[], total: number | null, connections: number): readonly Segment[] {
  const segments = gapsOf(extents, total).slice(0, connections);
  while (segments.length < connections) {
    const [longest] = segments
      .flatMap(({ start, end }, index) => (end === null ? [] : [{ start, end, index }]))
      .sort((a, b) => b.end - b.start - (a.end - a.start));
    if (longest === undefined || longest.end - longest.start < 2 * SMALLEST_SPLIT) break;
    const { start, end, index } = longest;
    const middle = start + Math.floor((end - start) / 2);
    segments.splice(index, 1, { start, end: middle }, { start: middle, end });
  }
  return segments;
}
