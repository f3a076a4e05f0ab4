import type { ContentRange } from './content-range.js';
import { parseContentRange } from './content-range.js';
import { PosteError } from './errors.js';
import { validatorsOf, type Validators } from './validators.js';

/** Header names in lower case; a field that came more than once is a list. */
export type HeaderFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** All that the rules need to know of an answer's head. */
export interface Answer {
  readonly status: number;
  /** Bytes of this body; `null` when only its end will tell. */
  readonly contentLength: number | null;
  /** `close`: the body ends with the connection, so a cut looks like the end. */
  readonly framing: 'length' | 'chunked' | 'close';
  readonly contentRange: ContentRange | null;
  readonly validators: Validators;
  /** As sent; `null` also when it came more than once. */
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** Lower case, without parameters. */
  readonly contentType: string | null;
  /** `null` when the bytes are the file's own. */
  readonly contentEncoding: string | null;
  readonly acceptsRanges: boolean;
}

/** @throws PosteError `malformed-answer` for a length that cannot be one, and for a transfer coding that nobody asked for. */
export function readAnswer(status: number, fields: HeaderFields): Answer {
  const length = single(fields, 'content-length');
  const contentLength = length === null ? null : Number(length);
  if (contentLength !== null && !(Number.isSafeInteger(contentLength) && contentLength >= 0)) {
    throw new PosteError('malformed-answer', 'the server sent a Content-Length that no file can have; nothing of it was kept');
  }
  const etag = single(fields, 'etag');
  const lastModified = single(fields, 'last-modified');
  // Of any other coding only the chunks would be undone, and not even its end be known.
  const coding = joined(fields, 'transfer-encoding') ?? 'identity';
  if (coding !== 'chunked' && coding !== 'identity') {
    throw new PosteError('malformed-answer', 'the server sends the file in a transfer coding that was not asked for; nothing of it was kept');
  }
  const encoding = joined(fields, 'content-encoding') || 'identity';
  return {
    status,
    contentLength,
    framing: contentLength !== null ? 'length' : coding === 'chunked' ? 'chunked' : 'close',
    contentRange: parseContentRange(single(fields, 'content-range')),
    validators: validatorsOf({ etag, lastModified, date: single(fields, 'date') }),
    etag,
    lastModified,
    contentType: single(fields, 'content-type')?.split(';')[0]?.trim().toLowerCase() || null,
    contentEncoding: encoding === 'identity' ? null : encoding,
    acceptsRanges: status === 206 || single(fields, 'accept-ranges')?.toLowerCase() === 'bytes',
  };
}

/** All values of a field, in lower case; `null` when it did not come. */
function joined(fields: HeaderFields, name: string): string | null {
  const value = fields[name];
  return value === undefined ? null : [value].flat().join(', ').trim().toLowerCase();
}

/** The value of a field that came exactly once, else `null`: of two that disagree, neither is to be believed. */
export function single(fields: HeaderFields, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' ? value.trim() : null;
}
