import { count, listOf, oneOf, orNull, record, text } from './shape.js';

/** Where a file's bytes came from: kept with the part file while it grows, and in the receipt afterwards. Holds no secret. */
export interface Provenance {
  /** `host[:port]` that answered. */
  readonly finalHost: string;
  /** Hosts that redirected, in order. */
  readonly redirects: readonly string[];
  readonly status: number;
  /** As sent, weak ones too. */
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly contentType: string | null;
  /** `null` for the plain bytes; otherwise the file holds the encoded ones. */
  readonly contentEncoding: string | null;
  readonly resumes: readonly Join[];
  /** The least that is true of every request that brought bytes. Absent in what an earlier poste wrote. */
  readonly tls?: TlsProof;
}

/** `verified`: over TLS from the first URL to the last, each certificate checked; `insecure`: not checked, as `--insecure` asks; `none`: not over TLS all the way. */
export type TlsProof = 'verified' | 'insecure' | 'none';

export function tlsProof(protocols: readonly string[], insecure: boolean): TlsProof {
  if (protocols.some((protocol) => protocol !== 'https:')) return 'none';
  return insecure ? 'insecure' : 'verified';
}

/** What holds for bytes of which some have one proof and some the other. */
export function weaker(a: TlsProof | undefined, b: TlsProof): TlsProof {
  const both = [a ?? 'none', b];
  return both.includes('none') ? 'none' : both.includes('insecure') ? 'insecure' : 'verified';
}

/** How bytes of another request were proved to belong to the same version. */
export interface Join {
  readonly offset: number;
  readonly proof: JoinProof;
  /** Bytes before the offset that were fetched again and compared equal. */
  readonly overlapCompared: number;
  readonly host: string;
}

export type JoinProof = 'etag' | 'last-modified' | 'digest';

/** Whether what comes from a disk is a {@link Provenance}. */
export const isProvenance = record({
  finalHost: text,
  redirects: listOf(text),
  status: count,
  etag: orNull(text),
  lastModified: orNull(text),
  contentType: orNull(text),
  contentEncoding: orNull(text),
  resumes: listOf(record({ offset: count, proof: oneOf('etag', 'last-modified', 'digest'), overlapCompared: count, host: text })),
});
