import type { PartHeader } from '../store/extents.js';
import type { Asked } from './ask.js';

/** What an answer that begins a file tells of it. `changes` is how often the file has changed under this download so far. */
export function headerOf({ answer, hosts }: Asked, total: number | null, changes: number): PartHeader {
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
    },
  };
}
