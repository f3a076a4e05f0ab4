import { bytesBefore, overlapStart, requestEnd, type Segment } from '../domain/segments.js';
import { ifRangeOf } from '../domain/validators.js';
import { expectsPage, judge, type JudgedBy, type Mode, type Verdict } from '../domain/verdict.js';
import type { PartFile } from '../store/part.js';
import { ask, type Asked } from './ask.js';
import type { AttemptJob } from './attempt.js';
import type { Network } from './network.js';
import { continuedBy } from './part-header.js';
import type { Span } from './receive.js';
import { TAIL_BYTES } from './seams.js';

/** Bytes before a join that must come again and be equal. */
const OVERLAP_BYTES = 64 * 1024;
/** Between two pieces that one attempt fetched a short overlap is enough. */
const SHORT_OVERLAP_BYTES = 4 * 1024;
/** With a rate limit, a piece at a time: what waits unread in buffers is lost with a killed worker (nginx on loopback: 4.5 MB a kill). */
const LIMITED_BYTES = 768 * 1024;

export interface Question {
  /** What is here; `null` when nothing is. */
  readonly part: PartFile | null;
  readonly mode: Mode;
  readonly segment: Segment;
  /** This very attempt brought what lies before the segment, by a piece that ended as it should. */
  readonly continues: boolean;
  /** Answers in a row that went on with the file and brought nothing. */
  readonly emptyAnswers: number;
  readonly isLimited: boolean;
}

export interface Reply {
  /** To be consumed or discarded. */
  readonly asked: Asked;
  readonly by: JudgedBy;
  readonly verdict: Verdict;
}

/** Asks once, for the rest of what is here or for the whole, and judges the answer. @throws PosteError as {@link ask} does */
export async function inquire({ spec, secrets }: AttemptJob, question: Question, network: Network, signal: AbortSignal): Promise<Reply> {
  const { mode, segment, isLimited } = question;
  const mostBytes = isLimited ? LIMITED_BYTES : null;
  const part = mode === 'conditional' || mode === 'plain' ? question.part : null;
  const from = part === null ? 0 : overlapStart(part.extents, part.compared, segment, overlapBytes(question));
  const end = part === null ? requestEnd(WHOLE, null, mostBytes) : requestEnd(withTail(segment, part.header.total), part.header.total, mostBytes);
  const asked = await ask(
    spec,
    secrets,
    {
      range: mode === 'unranged' ? null : { start: from, end },
      ifRange: part !== null && mode === 'conditional' ? ifRangeOf(part.header.validators, part.header.hasWeakEtag) : null,
    },
    network,
    signal,
  );
  const by: JudgedBy = {
    mode,
    from,
    join: part === null ? 0 : segment.start,
    hasDigest: spec.checksum !== null,
    expectsNothing: spec.expectSize === 0,
    isPageExpected: expectsPage(spec),
  };
  return { asked, by, verdict: judge(question.part?.header ?? null, by, asked.answer) };
}

function overlapBytes({ continues, emptyAnswers }: Question): number {
  if (emptyAnswers > 1) return 1;
  return continues ? SHORT_OVERLAP_BYTES : OVERLAP_BYTES;
}

export const WHOLE: Segment = { start: 0, end: null };

/** What an answer that goes on with the version that is here brings, and what of it must agree; recorded. */
export async function join(part: PartFile, { asked, verdict }: { asked: Asked; verdict: Verdict & { kind: 'append' } }, segment: Segment, continues: boolean, limit: Span['limit']): Promise<Span> {
  const { start, end, total, proof } = verdict;
  const overlap = Buffer.alloc(Math.min(OVERLAP_BYTES, segment.start - start, bytesBefore(part.extents, segment.start)));
  await part.read(overlap, segment.start - overlap.length);
  // What lies behind a hole is no resume, nor is the next piece of one attempt; but what rests on the digest alone is remembered (once), since a
  // digest that does not fit then tells of the join, not of the file.
  const restsOnDigest = proof === 'digest' && part.header.provenance.resumes.every((resume) => resume.proof !== 'digest');
  const resumed = (continues || overlap.length === 0) && !restsOnDigest ? null : { offset: segment.start, proof, overlap: overlap.length, compared: part.compared };
  const header = continuedBy(part.header, asked, resumed);
  if (header !== part.header) await part.describe(header);
  return { start, join: segment.start, overlap, end, total, limit, stretch: { ...segment, position: segment.start } };
}

function withTail({ start, end }: Segment, total: number | null): Segment {
  return { start, end: end === null ? null : Math.min(end + TAIL_BYTES, total ?? Number.POSITIVE_INFINITY) };
}
