import { weaker, type JoinProof } from '../domain/provenance.js';
import type { Extent } from '../domain/segments.js';
import type { Answer } from '../domain/answer.js';
import type { Representation } from '../domain/task.js';
import { canResume, evidenceOf } from '../domain/verdict.js';
import type { PartHeader } from '../store/extents.js';
import type { Asked } from './ask.js';

/** What an answer that begins a file tells of it. `changes` is how often the file has changed under this download so far. */
export function headerOf({ answer, hosts, tls }: Asked, total: number | null, changes: number): PartHeader {
  const { validators, status, etag, lastModified, contentType, contentEncoding } = answer;
  return {
    total,
    validators,
    hasWeakEtag: etag !== null && validators.etag === null,
    contentType,
    contentEncoding,
    changes,
    provenance: {
      finalHost: hosts.at(-1) ?? '',
      redirects: hosts.slice(0, -1),
      status,
      etag,
      lastModified,
      contentType,
      contentEncoding,
      resumes: [],
      tls,
    },
  };
}

/** Of a download that broke off a thousand times, the last joins tell enough. */
const MOST_RESUMES = 50;

/** A join that is about to be made. */
export interface Resumed {
  readonly offset: number;
  readonly proof: JoinProof;
  /** Bytes before the offset that come again with this answer. */
  readonly overlap: number;
  /** What came again before, of an answer that was cut. */
  readonly compared: Extent | null;
}

/**
 * What is known of a file when an answer is about to continue it; the same object when that is nothing new. `null`: it is no resume. How long
 * the file is counts when the answer has been compared: it may be another one.
 */
export function continuedBy(header: PartHeader, { hosts, tls }: Asked, resumed: Resumed | null): PartHeader {
  const { provenance } = header;
  const weakest = weaker(provenance.tls, tls);
  if (resumed === null) {
    return weakest === provenance.tls ? header : { ...header, provenance: { ...provenance, tls: weakest } };
  }
  const { offset, proof, overlap, compared } = resumed;
  const from = offset - overlap;
  const before = compared !== null && compared.start < from && compared.end >= from ? from - compared.start : 0;
  const joins = provenance.resumes.filter((join) => join.offset !== offset);
  const last = joins.slice(1 - MOST_RESUMES);
  // That there was one which only the digest can prove must not go under: it decides what a digest that does not fit means.
  const others = last.some(isByDigest) ? last : [...joins.filter(isByDigest).slice(-1), ...last];
  const resumes = [...others, { offset, proof, overlapCompared: overlap + before, host: hosts.at(-1) ?? provenance.finalHost }];
  return { ...header, provenance: { ...provenance, resumes, tls: weakest } };
}

function isByDigest({ proof }: { readonly proof: JoinProof }): boolean {
  return proof === 'digest';
}

/** What is shown of the file: how long it is, and by what a resumed download of it would be proved the same. */
export function representationOf(header: PartHeader, { acceptsRanges }: Answer, hasDigest: boolean): Representation {
  return { total: header.total, resumable: acceptsRanges && canResume(header, hasDigest), evidence: evidenceOf(header.validators, hasDigest) };
}
