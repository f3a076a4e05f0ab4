import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAnswer } from '../../src/domain/answer.js';
import { parseContentRange } from '../../src/domain/content-range.js';
import { networkError } from '../../src/domain/network-error.js';
import { proxyFor } from '../../src/domain/proxy.js';
import { etaSeconds, sampled, startRate } from '../../src/domain/rate.js';
import { refusal } from '../../src/domain/refusal.js';
import { parseRetryAfter, retryDelay } from '../../src/domain/retry.js';
import { compareValidators, ifRangeOf, validatorsOf } from '../../src/domain/validators.js';
import { expectsPage, judge } from '../../src/domain/verdict.js';

describe('Content-Range', () => {
  test.each([
    ['bytes 0-9/10', { kind: 'range', start: 0, end: 10, total: 10 }],
    ['bytes 5-9/*', { kind: 'range', start: 5, end: 10, total: null }],
    ['BYTES 5-9/20', { kind: 'range', start: 5, end: 10, total: 20 }],
    ['bytes */20', { kind: 'unsatisfied', total: 20 }],
    ['bytes 9-5/20', null],
    ['bytes 0-20/20', null],
    ['bytes -5-9/20', null],
    ['items 0-9/10', null],
    ['bytes */*', null],
    ['bytes 0-9007199254740993/*', null],
    ['bytes 0-1/99999999999999999999', null],
    ['bytes 0-9', null],
    ['', null],
  ])('%s', (text, expected) => expect(parseContentRange(text)).toEqual(expected));

  test('any text is either refused or consistent', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.tuple(fc.nat(), fc.nat(), fc.nat()).map(([a, b, c]) => `bytes ${a}-${b}/${c}`)), (text) => {
        const range = parseContentRange(text);
        if (range?.kind !== 'range') return;
        expect(range.end).toBeGreaterThan(range.start);
        expect(range.total ?? range.end).toBeGreaterThanOrEqual(range.end);
      }),
    );
  });
});

describe('validators', () => {
  const OLD = 'Tue, 01 Jul 2025 10:00:00 GMT';
  const NOW = 'Tue, 01 Jul 2025 10:01:00 GMT';
  const SOON = 'Tue, 01 Jul 2025 10:00:59 GMT';
  const of = (etag: string | null, lastModified: string | null = null, date: string | null = NOW) => validatorsOf({ etag, lastModified, date });

  test.each([
    ['equal strong tags', of('"a"'), of('"a"'), 'etag'],
    ['other strong tags, whatever the date', of('"a"', OLD), of('"b"', OLD), 'different'],
    ['#7 equal weak tags', of('W/"a"'), of('W/"a"'), 'unknown'],
    ['#7 equal weak tags and equal old dates', of('W/"a"', OLD), of('W/"a"', OLD), 'last-modified'],
    ['#7 other weak tags, whatever the date', of('W/"a"', OLD), of('W/"b"', OLD), 'different'],
    ['#7 a weak tag that was a strong one', of('"a"', OLD), of('W/"a"', OLD), 'last-modified'],
    ['#7 a weak tag that was another, strong one', of('"a"', OLD), of('W/"b"', OLD), 'different'],
    ['empty tags', of('""'), of('""'), 'unknown'],
    ['unquoted tags', of('a'), of('a'), 'unknown'],
    ['equal dates, a minute old', of(null, OLD), of(null, OLD), 'last-modified'],
    ['#9 equal dates, 59 s old', of(null, OLD, SOON), of(null, OLD, SOON), 'unknown'],
    ['equal dates, no Date', of(null, OLD, null), of(null, OLD, null), 'unknown'],
    ['other dates', of(null, OLD), of(null, SOON), 'different'],
    ['dates that are none', of(null, 'yesterday'), of(null, 'yesterday'), 'unknown'],
    ['nothing', of(null), of(null), 'unknown'],
  ])('%s', (_name, known, seen, expected) => expect(compareValidators(known, seen)).toBe(expected));

  test('If-Range carries a strong tag, else an old date, unless there is a weak tag', () => {
    expect(ifRangeOf(of('"a"', OLD), false)).toBe('"a"');
    expect(ifRangeOf(of(null, OLD), false)).toBe(OLD);
    expect(ifRangeOf(of('W/"a"', OLD), true)).toBe(null);
    expect(ifRangeOf(of(null, OLD, SOON), false)).toBe(null);
  });
});

describe('retry', () => {
  test('#19 doubles from 1 s to 10 min, with full jitter', () => {
    const most = (fruitless: number): number => retryDelay({ fruitless, retryAfterMs: null, random: 0.999999999, unitMs: 1000 });
    expect([0, 1, 2, 3, 4].map(most)).toEqual([1000, 1000, 2000, 4000, 8000]);
    expect(most(1e9)).toBe(600_000);
    expect(retryDelay({ fruitless: 5, retryAfterMs: null, random: 0, unitMs: 1000 })).toBe(0);
  });

  test('#18 never earlier than the server asked for, never later than 6 h and a minute', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(1e9), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (fruitless, retryAfterMs, random) => {
        const delay = retryDelay({ fruitless, retryAfterMs, random, unitMs: 1000 });
        expect(delay).toBeGreaterThanOrEqual(Math.min(retryAfterMs, 6 * 3_600_000));
        expect(delay).toBeLessThanOrEqual(6 * 3_600_000 + 60_000);
      }),
    );
  });

  const now = Date.parse('Tue, 01 Jul 2025 10:00:00 GMT');
  test.each([
    ['0', 0],
    ['120', 120_000],
    ['999999999999999999999', 6 * 3_600_000],
    ['Tue, 01 Jul 2025 10:01:00 GMT', 60_000],
    ['Tue, 01 Jul 2025 09:00:00 GMT', null],
    ['Tue, 01 Jul 2199 09:00:00 GMT', 6 * 3_600_000],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['', null],
    [null, null],
  ])('#18 Retry-After: %s', (text, expected) => expect(parseRetryAfter(text, now)).toBe(expected));
});

test('a steady transfer shows its rate and how long it will take; a pause fades, it does not jump', () => {
  let rate = startRate(0, 0);
  expect(etaSeconds(rate, 1000)).toBe(null);
  for (let at = 100; at <= 20_000; at += 100) rate = sampled(rate, at, at * 10);
  expect(rate.bytesPerSecond).toBeCloseTo(10_000);
  expect(etaSeconds(rate, 300_000)).toBe(10);
  expect(etaSeconds(rate, null)).toBe(null);
  const paused = sampled(rate, 20_500, 200_000);
  expect(paused.bytesPerSecond).toBeGreaterThan(8_000);
  expect(paused.bytesPerSecond).toBeLessThan(10_000);
  expect(sampled(rate, 10, 5).bytesPerSecond).toBe(null);
});

describe('proxy', () => {
  const proxy = { http: 'http://h:1', https: 'http://s:2' };
  test.each([
    ['http://example.org/', '', 'http://h:1'],
    ['https://example.org/', '', 'http://s:2'],
    ['https://example.org/', '*', null],
    ['https://example.org/', 'example.org', null],
    ['https://a.example.org/', 'example.org', null],
    ['https://a.example.org/', '.example.org', null],
    ['https://badexample.org/', 'example.org', 'http://s:2'],
    ['https://example.org/', 'other.org, example.org', null],
    ['https://example.org/', 'example.org:443', null],
    ['https://example.org:8443/', 'example.org:443', 'http://s:2'],
    ['http://[::1]:8080/', '::1', null],
    ['http://[::1]:8080/', '[::1]:8080', null],
    ['http://[::1]:8080/', '[::1]:81', 'http://h:1'],
    ['http://127.0.0.1/', '127.0.0.1', null],
  ])('%s with NO_PROXY=%s', (url, no, expected) => expect(proxyFor(new URL(url), { ...proxy, no })).toBe(expected));

  test('none is none', () => expect(proxyFor(new URL('http://example.org/'), undefined)).toBe(null));
});

describe('a web page in place of a file', () => {
  const url = 'https://example.org/dir/';
  test.each([
    ['image.iso', false],
    ['archive.tar.gz', false],
    ['film.mp4', false],
    ['disk.7z', false],
    ['README.md?page=index.html', false],
    ['index.html', true],
    ['INDEX.HTM', true],
    ['view.php?file=image.iso', true],
    ['fetch.do', true],
    ['', true],
    ['latest', true],
    ['release-1.2', true],
    ['file.%68tml', true],
  ])('%s: may be a page: %s', (last, expected) => {
    for (const namedBy of ['user', 'default'] as const) expect(expectsPage({ url: `${url}${last}`, namedBy, name: 'x' })).toBe(expected);
  });

  test('the name from the first URL still counts when another URL has taken its place', () => {
    expect(expectsPage({ url: `${url}get`, namedBy: 'url', name: 'image.iso' })).toBe(false);
  });

  test('a name that the user chose allows a page, and forbids none', () => {
    expect(expectsPage({ url: `${url}Node.js`, namedBy: 'user', name: 'node.html' })).toBe(true);
    expect(expectsPage({ url: `${url}latest`, namedBy: 'user', name: 'image.iso' })).toBe(true);
  });

  const asked = { mode: 'open', from: 0, join: 0, hasDigest: false, expectsNothing: false, isPageExpected: false } as const;
  const answer = (status: number, type: string) =>
    readAnswer(status, { 'content-type': type, 'content-length': '10', ...(status === 206 ? { 'content-range': 'bytes 0-9/10' } : {}) });
  test.each([200, 206])('as the first answer, %i, it is not taken for the file', (status) => {
    for (const type of ['text/html; charset=utf-8', 'TEXT/HTML', 'application/xhtml+xml']) {
      expect(judge(null, asked, answer(status, type))).toEqual({ kind: 'portal' });
      expect(judge(null, { ...asked, isPageExpected: true }, answer(status, type))).toMatchObject({ kind: 'begin', total: 10 });
      expect(judge(null, { ...asked, hasDigest: true }, answer(status, type))).toMatchObject({ kind: 'begin' });
    }
    expect(judge(null, asked, answer(status, 'application/octet-stream'))).toMatchObject({ kind: 'begin' });
  });
});

test('credentials are asked for by the options there are', () => {
  for (const status of [401, 403]) expect(refusal(status, 'h', '').hint).toBe('give credentials with --bearer-env NAME or --header-file FILE');
});

test('a name that does not resolve behind a proxy, or is the proxy’s, is not blamed on the target', () => {
  const fault = { code: 'ENOTFOUND', message: 'getaddrinfo ENOTFOUND proxy', host: 'example.org', answered: false };
  expect(networkError({ ...fault, viaProxy: true })).toMatchObject({
    code: 'proxy',
    transient: true,
    message: 'the name of the proxy, or of example.org behind it, could not be resolved (ENOTFOUND)',
  });
  expect(networkError({ ...fault, viaProxy: false })).toMatchObject({ code: 'dns', transient: true });
});
