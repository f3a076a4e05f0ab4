/** A parsed `Content-Range` (RFC 9110, section 14.4). Offsets are bytes, `end` is exclusive. */
export type ContentRange =
  | { readonly kind: 'range'; readonly start: number; readonly end: number; readonly total: number | null }
  | { readonly kind: 'unsatisfied'; readonly total: number };

/** `null` for anything that cannot be trusted: another unit, end before start, beyond the total, beyond 2^53. */
export function parseContentRange(value: string | null): ContentRange | null {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(value?.trim() ?? '');
  if (match === null) return null;
  const [, first, last, size] = match;
  const total = size === undefined || size === '*' ? null : Number(size);
  if (total !== null && !Number.isSafeInteger(total)) return null;
  if (first === undefined || last === undefined) return total === null ? null : { kind: 'unsatisfied', total };
  const start = Number(first);
  const end = Number(last) + 1;
  if (!Number.isSafeInteger(end) || end <= start || (total !== null && end > total)) return null;
  return { kind: 'range', start, end, total };
}
