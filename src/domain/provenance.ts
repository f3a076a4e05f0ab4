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
