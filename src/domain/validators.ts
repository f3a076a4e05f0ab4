/** What a server said that tells one version of a file from another. */
export interface Validators {
  /** A strong entity tag, with its quotes. */
  readonly etag: string | null;
  /** The entity tag, weak or strong, without what says which: one that is the same proves nothing, another one that the file is. */
  readonly opaque?: string | null | undefined;
  readonly lastModified: string | null;
  /** The date is old enough that two versions cannot share it. */
  readonly dateIsStrong: boolean;
}

export interface ValidatorFields {
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly date: string | null;
}

/** Seconds between Last-Modified and Date from which a date counts as strong (RFC 7232, section 2.2.2). */
const STRONG_AFTER_MS = 60_000;

export function validatorsOf({ etag, lastModified, date }: ValidatorFields): Validators {
  const modified = parseHttpDate(lastModified);
  const answered = parseHttpDate(date);
  // An empty tag is what a server sends that has none.
  const [, weak = '', opaque = null] = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]+")$/.exec(etag ?? '') ?? [];
  return {
    etag: weak === '' ? opaque : null,
    opaque,
    lastModified: modified === null ? null : lastModified,
    dateIsStrong: modified !== null && answered !== null && answered - modified >= STRONG_AFTER_MS,
  };
}

export type Comparison = 'etag' | 'last-modified' | 'different' | 'unknown';

/** Whether two answers speak of one version, and by which proof. */
export function compareValidators(known: Validators, seen: Validators): Comparison {
  const [knownTag, seenTag] = [known.opaque ?? known.etag, seen.opaque ?? seen.etag];
  if (knownTag !== null && seenTag !== null && knownTag !== seenTag) return 'different';
  if (known.etag !== null && seen.etag !== null) return 'etag';
  if (known.lastModified === null || seen.lastModified === null) return 'unknown';
  if (known.lastModified !== seen.lastModified) return 'different';
  return known.dateIsStrong ? 'last-modified' : 'unknown';
}

/**
 * The value of `If-Range`, or `null` when none may be sent. A date may stand in only where there is no entity tag
 * at all, not even a weak one (RFC 9110, section 13.1.5).
 */
export function ifRangeOf(known: Validators, hasWeakEtag: boolean): string | null {
  if (known.etag !== null) return known.etag;
  return known.dateIsStrong && !hasWeakEtag ? known.lastModified : null;
}

/** Epoch milliseconds; `null` unless it looks like an HTTP date (`Date.parse` alone takes almost anything). */
export function parseHttpDate(value: string | null): number | null {
  if (value === null || !/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d{2}:\d{2}:\d{2}/.test(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}
