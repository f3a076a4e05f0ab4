import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { readAnswer, type HeaderFields } from '../../src/domain/answer.js';
import { parseContentRange } from '../../src/domain/content-range.js';
import { checkUserName, nameFromUrl, numberedName, safeFileName } from '../../src/domain/file-name.js';
import { nextHop } from '../../src/domain/redirect.js';
import { parseRetryAfter } from '../../src/domain/retry.js';
import { compareValidators, ifRangeOf, parseHttpDate, validatorsOf } from '../../src/domain/validators.js';
import { judge, type Known, type Mode } from '../../src/domain/verdict.js';
import { nameOf } from '../../src/transfer/name.js';
import { specOf } from '../support/sessions.js';
import { anyText, expectInert, fuzz, hostileText, isWellFormed, resultOf } from './fuzz.js';

const NOW = Date.UTC(2026, 0, 1);
const MAX_WAIT = 6 * 3_600_000;
const UNNAMED = specOf({ namedBy: 'default', name: 'download' });

/** What a header that names a file may be made of. */
const DISPOSITION = ['attachment', '; ', 'filename=', 'filename*=', "UTF-8''", "iso-8859-1''", '"', '\\"', '%41', '%ff', '%', 'a.txt', '.tar.gz'];
const RANGE = ['bytes', ' ', '0', '1', '-', '/', '*', '99', '9007199254740993', 'items'];
const DATE = ['Tue, 01 Jul 2025 10:00:00 GMT', 'Tuesday', 'Tue', ', ', '01-Jul-25', ' ', '10:00:00', 'GMT', '2025', '+0000', '99999', '-'];
const LOCATION = ['http://', 'https://', 'example.org', ':80', '/a', '?t=S3CRET', '#f', 'user:S3CRET@', 'file:', 'data:,', 'javascript:', '//', '[::1]'];

/** There is no secret to be scrubbed. */
const AS_IT_IS = (text: string): string => text;

describe('#101 a name, whoever proposes it', () => {
  fuzz('#101 is one plain name that acts on nobody: from a header', 200, [anyText(...DISPOSITION)], (value) => {
    expectSafe(nameOf(UNNAMED, { 'content-disposition': `attachment; ${value}` }, AS_IT_IS));
    expectSafe(nameOf(UNNAMED, { 'content-disposition': value }, AS_IT_IS));
  });

  fuzz('#101 … from a header that quotes or encodes it well', 150, [hostileText()], (raw) => {
    const proposed = (value: string): string => nameOf(UNNAMED, { 'content-disposition': value }, AS_IT_IS);
    expectSafe(proposed(`attachment; filename="${raw.replaceAll(/["\\]/g, '\\$&')}"`));
    if (isWellFormed(raw)) expectSafe(proposed(`attachment; filename*=UTF-8''${encodeURIComponent(raw).replaceAll("'", '%27')}`));
  });

  fuzz('#101 … from a URL, encoded or not', 150, [hostileText()], (raw) => {
    const encoded = isWellFormed(raw) ? encodeURIComponent(raw) : raw;
    for (const tail of [raw, encoded, encoded.replaceAll('%', '%25')]) {
      const url = `https://example.org/d/${tail}`;
      const name = URL.canParse(url) ? nameFromUrl(url) : null;
      if (name !== null) expectSafe(name);
    }
  });

  fuzz('#101 #69 … and beside others of its name', 150, [hostileText('.tar.gz', '.iso', 'a'.repeat(250)), fc.integer({ min: 1, max: 1e9 })], (raw, n) => {
    const name = safeFileName(raw);
    const other = numberedName(name, n);
    expectSafe(other);
    expect(other).not.toBe(name);
    const taken = new Set([name, numberedName(name, 1)]);
    const header = { 'content-disposition': `attachment; filename="${name.replaceAll(/["\\]/g, '\\$&')}"` };
    expect(taken.has(nameOf(UNNAMED, header, AS_IT_IS, taken))).toBe(false);
  });

  fuzz('#101 … or is refused, when a user chose it', 150, [anyText()], (raw) => {
    const name = resultOf(() => checkUserName(raw));
    if (name !== null) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    if (name !== null) expect(name).not.toMatch(/^\.{0,2}$|[/\p{Cc}]/u);
  });
});

describe('a header field, whatever it says', () => {
  fuzz('#4 Content-Range: refused or consistent', 250, [anyText(...RANGE)], (value) => {
    const range = parseContentRange(value);
    if (range?.kind === 'unsatisfied') expect(Number.isSafeInteger(range.total)).toBe(true);
    if (range?.kind !== 'range') return;
    expect(0 <= range.start && range.start < range.end && range.end <= (range.total ?? Number.MAX_SAFE_INTEGER)).toBe(true);
  });

  fuzz('#18 Retry-After: nothing, or up to six hours', 250, [anyText(...DATE)], (value) => {
    const wait = parseRetryAfter(value, NOW);
    if (wait !== null) expect(wait >= 0 && wait <= MAX_WAIT).toBe(true);
  });

  fuzz('#7 #12 ETag, Last-Modified, Date: what proves is sent back as it came', 250, [
    hostileText('"', 'W/"', 'abc'),
    anyText(...DATE),
    hostileText(...DATE),
  ], (etag, lastModified, date) => {
    const validators = validatorsOf({ etag, lastModified, date });
    if (validators.etag !== null) expect(etag).toMatch(/^"[^"]*"$/);
    if (validators.lastModified !== null) expect(parseHttpDate(lastModified)).not.toBeNull();
    const proof = ifRangeOf(validators, false);
    // What goes out again must be a header's value and nothing more.
    if (proof !== null) expect(proof).toMatch(/^[\x20-\x7e\x80-\xff]*$/);
    expect(compareValidators(validators, validators)).not.toBe('different');
  });

  fuzz('#22 #23 Location: another http URL without a password, or refused and the chain named', 250, [anyText(...LOCATION)], (location) => {
    const to = resultOf(() => nextHop([new URL('https://example.org/a?t=S3CRET')], location));
    if (to === null) return;
    expect(to.protocol).toBe('https:');
    expect(to.username + to.password + to.hash).toBe('');
  });
});

const anyField = fc.oneof(hostileText(...RANGE, ...DATE, '"a"', 'gzip', 'identity', 'chunked', 'text/html', 'bytes'), fc.array(fc.string(), { maxLength: 2 }));
const anyFields: fc.Arbitrary<HeaderFields> = fc.record(
  {
    'content-length': fc.oneof(fc.nat().map(String), anyField),
    'content-range': fc.oneof(
      fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 200 }), fc.option(fc.nat({ max: 200 }))).map(([a, b, total]) => `bytes ${a}-${b}/${total ?? '*'}`),
      fc.nat({ max: 200 }).map((total) => `bytes */${total}`),
      anyField,
    ),
    'transfer-encoding': anyField,
    'content-encoding': anyField,
    'content-type': anyField,
    'accept-ranges': anyField,
    etag: fc.oneof(fc.constantFrom('"a"', '"b"', 'W/"a"'), anyField),
    'last-modified': fc.oneof(fc.constantFrom('Tue, 01 Jul 2025 10:00:00 GMT'), anyField),
    date: fc.oneof(fc.constantFrom('Tue, 01 Jul 2025 12:00:00 GMT'), anyField),
  },
  { requiredKeys: [] },
);
const anyStatus = fc.oneof(fc.constantFrom(200, 204, 206, 304, 412, 416), fc.integer({ min: 200, max: 599 }));

/** 100 bytes of 150 are here, of version "a". */
const KNOWN: Known = {
  total: 150,
  validators: { etag: '"a"', lastModified: 'Tue, 01 Jul 2025 10:00:00 GMT', dateIsStrong: true },
  hasWeakEtag: false,
  contentType: null,
  contentEncoding: null,
};

describe('an answer, whatever its head says', () => {
  fuzz('#3 #4 #5 #6 is appended only where it fits, of the size that is known, and with a proof', 750, [
    anyStatus,
    anyFields,
    fc.constantFrom<Mode>('conditional', 'plain', 'open', 'unranged'),
    fc.boolean(),
    fc.boolean(),
  ], (status, fields, mode, hasDigest, isUnknown) => {
    const answer = resultOf(() => readAnswer(status, fields));
    if (answer === null) return;
    const isRest = mode === 'conditional' || mode === 'plain';
    const asked = { mode, from: isRest ? 60 : 0, join: isRest ? 100 : 0, hasDigest, expectsNothing: false, isPageExpected: false };
    const verdict = judge(isUnknown ? null : KNOWN, asked, answer);
    if (verdict.kind === 'malformed') expectInert(verdict.message);
    if (verdict.kind === 'begin') expect([200, 204, 206, 416]).toContain(status);
    if (verdict.kind === 'begin' && status === 206) expect(answer.contentRange).toMatchObject({ start: 0 });
    if (verdict.kind === 'complete') expect([status, verdict.total]).toEqual([416, 100]);
    if (verdict.kind !== 'append') return;
    expect(isRest && status === 206 && !isUnknown).toBe(true);
    expect(verdict.start <= 60 && verdict.end >= 100 && verdict.total === 150).toBe(true);
    expect(answer.contentEncoding).toBeNull();
    if (verdict.proof === 'etag') expect(fields.etag).toBe('"a"');
    if (verdict.proof === 'last-modified') expect(answer.validators.lastModified).toBe(KNOWN.validators.lastModified);
    if (verdict.proof === 'digest') expect(hasDigest).toBe(true);
  });
});

function expectSafe(name: string): void {
  expect(name).not.toMatch(/[/\\\0]|^[.\s-]|^$/);
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
  expectInert(name);
  expect(safeFileName(name)).toBe(name);
}
