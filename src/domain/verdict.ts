import type { Answer } from './answer.js';
import { nameFromUrl } from './file-name.js';
import type { JoinProof } from './provenance.js';
import { isTransientStatus, needOf } from './refusal.js';
import type { Representation, TaskSpec } from './task.js';
import { compareValidators, ifRangeOf, type Validators } from './validators.js';

/** What is known of the file whose first bytes are here. */
export interface Known {
  /** Bytes; `null` while nobody said. */
  readonly total: number | null;
  readonly validators: Validators;
  /** An entity tag was there, but a weak one. */
  readonly hasWeakEtag: boolean;
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
}

/**
 * How the bytes were asked for. `conditional` and `plain` ask for the rest, with `If-Range` or without; `open` asks for
 * `bytes=0-`, `unranged` for no range at all: both take whatever version there is, from its first byte.
 */
export type Mode = 'conditional' | 'plain' | 'open' | 'unranged';

export interface JudgedBy {
  readonly mode: Mode;
  /** First byte asked for. */
  readonly from: number;
  /** The first byte that is not here yet; bytes from `from` to here are fetched again to be compared. */
  readonly join: number;
  /** A digest of the whole was given: it will tell in the end whether the pieces belong together. */
  readonly hasDigest: boolean;
  /** The user said that the file has no bytes. */
  readonly expectsNothing: boolean;
  /** A web page may be the file, as far as its name tells: see {@link expectsPage}. */
  readonly isPageExpected: boolean;
}

export type Verdict =
  /** The body is the file from its first byte on; `total` is null when only the end will tell. */
  | { readonly kind: 'begin'; readonly total: number | null; readonly end: number | null; readonly restart: Restart | null }
  /** The body is bytes `start` to `end` of the version that is here. */
  | { readonly kind: 'append'; readonly start: number; readonly end: number; readonly total: number | null; readonly proof: JoinProof }
  /** Every byte is here already. */
  | { readonly kind: 'complete'; readonly total: number }
  /** This answer is of no use; ask once more, otherwise. */
  | { readonly kind: 'again'; readonly mode: Mode; readonly restart: Restart | null }
  /** A web page, to log in at for example, stands in the way: keep what is here and come back later. */
  | { readonly kind: 'portal' }
  | { readonly kind: 'malformed'; readonly message: string }
  /** Not an answer about the bytes at all. */
  | { readonly kind: 'status' };

/** Why the bytes that are here cannot be continued. Only changes count towards `keeps-changing`. */
export interface Restart {
  readonly reason: string;
  readonly changed: boolean;
}

/** Judges an answer to a request for a file of which nothing is `known`, or of which some bytes are here. Redirects are not for here. */
export function judge(known: Known | null, asked: JudgedBy, answer: Answer): Verdict {
  if (asked.mode === 'open' || asked.mode === 'unranged') return judgeWhole(known, asked, answer);
  return known === null ? { kind: 'again', mode: 'open', restart: null } : judgeRest(known, asked, answer);
}

/** What proves that a later request speaks of the same version. */
export function evidenceOf(validators: Validators, hasDigest: boolean): Representation['evidence'] {
  if (validators.etag !== null) return 'etag';
  if (validators.lastModified !== null && validators.dateIsStrong) return 'last-modified';
  return hasDigest ? 'digest' : 'none';
}

/** Encoded bytes are not resumed: which encoding a range was cut from is anyone's guess. */
export function canResume(known: Known, hasDigest: boolean): boolean {
  return known.contentEncoding === null && evidenceOf(known.validators, hasDigest) !== 'none';
}

/** The extension of a name: short, plain, and no mere number, as in `release-1.2`. */
const EXTENSION = /\.(?=[\d_-]*[a-z])([a-z\d_-]{1,16})$/i;
const PAGES = new Set(['html', 'htm', 'xhtml', 'shtml', 'php', 'asp', 'aspx', 'jsp', 'cgi', 'do']);

/** Whether the URL as given may be a web page's: what it calls the file has a page's extension, or none. Or the user calls it a page. */
export function expectsPage({ name, namedBy, url }: Pick<TaskSpec, 'name' | 'namedBy' | 'url'>): boolean {
  const inUrl = extensionOf(namedBy === 'url' ? name : (nameFromUrl(url) ?? ''));
  return inUrl === '' || PAGES.has(inUrl) || (namedBy === 'user' && PAGES.has(extensionOf(name)));
}

function extensionOf(name: string): string {
  return EXTENSION.exec(name)?.[1]?.toLowerCase() ?? '';
}

/** How to ask for the rest at first. */
export function resumeMode(known: Known): Mode {
  return ifRangeOf(known.validators, known.hasWeakEtag) === null ? 'plain' : 'conditional';
}

function judgeWhole(known: Known | null, asked: JudgedBy, answer: Answer): Verdict {
  const { mode, expectsNothing } = asked;
  const useless = (message: string): Verdict =>
    mode === 'open' ? { kind: 'again', mode: 'unranged', restart: null } : { kind: 'malformed', message };
  const range = answer.contentRange;
  const isToBeLeft = !asked.hasDigest && isStrayPage(asked.isPageExpected, answer);
  switch (answer.status) {
    case 200:
      if (known === null ? isToBeLeft : isPortal(known, answer)) return { kind: 'portal' };
      return { kind: 'begin', total: answer.contentLength, end: answer.contentLength, restart: null };
    case 206:
      if (mode === 'unranged') return useless('the server sent a part although the whole was asked for');
      if (range?.kind !== 'range' || range.start !== 0 || answer.contentEncoding !== null || !lengthFits(answer, range)) {
        return useless('the server sent another part than the one asked for');
      }
      if (known === null && isToBeLeft) return { kind: 'portal' };
      return { kind: 'begin', total: range.total, end: range.end, restart: null };
    case 416:
      if (range?.kind === 'unsatisfied' && range.total === 0) return { kind: 'begin', total: 0, end: 0, restart: null };
      return useless('the server refuses to send the file in any range');
    case 204:
      if (expectsNothing) return { kind: 'begin', total: 0, end: 0, restart: null };
      return useless('the server answered 204, which carries no file');
    case 304:
    case 412:
      return useless(`the server answered ${answer.status}, which carries no file`);
    default:
      if (mode === 'open' && known === null && REFUSES_RANGES.has(answer.status)) return { kind: 'again', mode: 'unranged', restart: null };
      return { kind: 'status' };
  }
}

/** What servers answer that cannot bear a `Range` at all, besides what else it means. */
const REFUSES_RANGES: ReadonlySet<number> = new Set([400, 403, 405, 406, 501]);

function judgeRest(known: Known, asked: JudgedBy, answer: Answer): Verdict {
  const next: Verdict = asked.mode === 'conditional'
    ? { kind: 'again', mode: 'plain', restart: null }
    : { kind: 'again', mode: 'unranged', restart: { reason: 'the server does not continue the file where it was left', changed: false } };
  const changed = (reason: string): Verdict => ({ kind: 'again', mode: 'open', restart: { reason, changed: true } });
  const compared = compareValidators(known.validators, answer.validators);
  const range = answer.contentRange;
  switch (answer.status) {
    case 206: {
      if (range?.kind !== 'range' || range.start > asked.from) return next;
      // Nothing but what is here. A short piece of what was asked for is as good as any: a later one brings more. But a server that always sends
      // its first bytes would be asked for ever.
      const goesOn = range.end < (range.total ?? known.total ?? Number.POSITIVE_INFINITY);
      if (range.end <= asked.join && goesOn && range.start < asked.from) return next;
      if (range.end < asked.join && !goesOn) return next;
      if (known.contentEncoding !== null || answer.contentEncoding !== null || !lengthFits(answer, range)) return next;
      if (range.total !== null && known.total !== null && range.total !== known.total) {
        return changed(`its size changed from ${known.total} to ${range.total} bytes`);
      }
      // With If-Range a server may leave out what it has said before (RFC 9110, section 15.3.7): asked without, it tells.
      if (compared === 'unknown' && asked.mode === 'conditional') return next;
      const proof = compared === 'etag' || compared === 'last-modified' ? compared : asked.hasDigest ? 'digest' : null;
      if (proof !== null) return { kind: 'append', start: range.start, end: range.end, total: range.total ?? known.total, proof };
      return changed(compared === 'different' ? 'it changed at the server' : 'the server no longer says which version it sends');
    }
    case 200: {
      if (isPortal(known, answer)) return { kind: 'portal' };
      const sameSize = known.total !== null && answer.contentLength === known.total;
      const perhapsSame = compared === 'etag' || compared === 'last-modified' || (asked.hasDigest && sameSize);
      if (asked.mode === 'conditional' && perhapsSame) return next;
      return {
        kind: 'begin',
        total: answer.contentLength,
        end: answer.contentLength,
        restart: perhapsSame || compared === 'unknown'
          ? { reason: 'the server sends it only as a whole', changed: false }
          : { reason: 'it changed at the server', changed: true },
      };
    }
    case 416:
      if (range?.kind !== 'unsatisfied') return next;
      if (range.total === asked.join && (known.total ?? range.total) === range.total && compared !== 'different') {
        return { kind: 'complete', total: range.total };
      }
      return range.total <= asked.from ? changed(`only ${range.total} bytes of it are left at the server`) : next;
    case 204:
    case 304:
    case 412:
      return { kind: 'again', mode: 'unranged', restart: { reason: `the server answered ${answer.status} to a range`, changed: false } };
    default:
      return { kind: 'status' };
  }
}

/**
 * What an answer to a request for the end tells of a body that ended with its connection, and may have been cut: whether the `received` bytes
 * are all, or `unknown` when nothing here tells and nothing will. `follow` is an answer to be taken like any other.
 */
export function judgeEnd(known: Known, received: number, mode: Mode, verdict: Verdict, answer: Answer): 'whole' | 'cut' | 'unknown' | 'follow' {
  if (verdict.kind === 'append' || verdict.kind === 'complete' || verdict.kind === 'portal') return 'follow';
  // How long the file is in another encoding than that of the bytes that are here says nothing of these; all of it may take their place.
  if (known.contentEncoding !== null && known.contentEncoding !== answer.contentEncoding && [200, 206].includes(answer.status)) {
    return answer.status === 200 ? 'follow' : 'unknown';
  }
  // What stands in the way of the file says nothing of its end, nor does what carries no file.
  if (isTransientStatus(answer.status) || needOf(answer.status) !== null || [204, 304, 412].includes(answer.status)) return 'follow';
  if (compareValidators(known.validators, answer.validators) === 'different') return 'follow';
  const { contentRange } = answer;
  // It goes on beyond what is here, however long it is (storm 394: a total of `*`).
  if (contentRange?.kind === 'range' && contentRange.end > received) return 'cut';
  const total = contentRange?.total ?? (answer.status === 200 ? answer.contentLength : null);
  // Who was not asked for the end, but for the whole, has said nothing of it: this body may be cut as the first one was. Nor has one that does
  // not take `If-Range` (storm 6837): it is asked without.
  if (total === null && (mode === 'unranged' || (mode === 'conditional' && verdict.kind === 'again'))) return 'follow';
  // A part that does not say which has not told either whether it is the last (storm 975).
  if (total === null) return answer.status === 206 && contentRange === null ? 'follow' : 'unknown';
  if (total === received) return 'whole';
  if (total > received) return 'cut';
  // Shorter than what is here: another file, unless these bytes are an encoding of it.
  return known.contentEncoding === answer.contentEncoding ? 'follow' : 'unknown';
}

function lengthFits(answer: Answer, range: { readonly start: number; readonly end: number }): boolean {
  return answer.contentLength === null || answer.contentLength === range.end - range.start;
}

function isPage({ contentType }: Pick<Answer, 'contentType'>): boolean {
  return contentType === 'text/html' || contentType === 'application/xhtml+xml';
}

/** A page in place of a file of which nothing is here yet. With a digest, that tells it from the file when all of it has come. */
export function isStrayPage(isPageExpected: boolean, answer: Pick<Answer, 'contentType'>): boolean {
  return isPage(answer) && !isPageExpected;
}

/** Far smaller: a sixteenth of what was promised. */
const PORTAL_SHARE = 16;

/** A page in place of the file that was under way, as hotel networks and expired log-ins send it: with status 200. */
function isPortal(known: Known, answer: Answer): boolean {
  if (answer.validators.etag !== null && answer.validators.etag === known.validators.etag) return false;
  if (isPage(answer) && known.contentType !== answer.contentType) return true;
  if (answer.validators.etag !== null || answer.validators.lastModified !== null) return false;
  if (known.validators.etag === null && known.validators.lastModified === null && known.contentType === answer.contentType) return false;
  if (known.contentType !== answer.contentType) return true;
  return known.total !== null && answer.contentLength !== null && answer.contentLength * PORTAL_SHARE < known.total;
}
