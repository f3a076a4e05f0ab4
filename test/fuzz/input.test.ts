import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { parseChecksum } from '../../src/domain/checksum.js';
import { parseProxy } from '../../src/domain/environment.js';
import { parseHeader } from '../../src/domain/header.js';
import { parseSessionId } from '../../src/domain/ids.js';
import { parseInputFile } from '../../src/domain/input-file.js';
import { parseBackoff } from '../../src/domain/policy-times.js';
import { printable } from '../../src/domain/printable.js';
import { proxyFor } from '../../src/domain/proxy.js';
import { parseDuration, parseRate, parseSize, parseTime } from '../../src/domain/quantities.js';
import { redactUrl } from '../../src/domain/redact.js';
import { parseDownloadUrl } from '../../src/domain/url.js';
import { newTask, type CommonChoices } from '../../src/session/new-task.js';
import { anyText, expectInert, fuzz, hostileText, isWellFormed, resultOf } from './fuzz.js';

const NOW = Date.UTC(2026, 0, 1);
const HUNDRED_YEARS = 36_525 * 86_400_000;

const digits = 'ab'.repeat(32);

describe('a flag’s value is read or refused in one line', () => {
  fuzz('sizes and rates', 150, [anyText('500', 'K', 'MiB', 'MB', '1.5', 'g', 'e', '/s', ' ', 'b')], (text) => {
    for (const bytes of [resultOf(() => parseSize(text)), resultOf(() => parseRate(text))]) {
      if (bytes !== null) expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
    }
  });

  fuzz('durations and times', 150, [anyText('90s', '10m', '1h', '30', 'ms', '1.5', '7d', 'now', '+', '18:00', '2030-01-31', 'T', 'Z', '+23:59', '.999999999')], (text) => {
    const duration = resultOf(() => parseDuration(text));
    if (duration !== null) expect(Number.isSafeInteger(duration) && duration >= 0 && duration <= HUNDRED_YEARS).toBe(true);
    const time = resultOf(() => parseTime(text, NOW));
    if (time !== null) expect(Number.isSafeInteger(time) && Number.isFinite(new Date(time).getTime())).toBe(true);
    const backoff = resultOf(() => parseBackoff({ POSTE_BACKOFF: text }));
    if (backoff !== null) expect(backoff > 0 && backoff <= 86_400_000).toBe(true);
  });

  fuzz('checksums', 150, [anyText('sha256', 'sha-1', 'sha512', 'md5', ':', '=', digits, digits.toUpperCase(), digits + digits)], (text) => {
    const read = resultOf(() => parseChecksum(text));
    if (read !== null) expect(read.checksum.hex).toMatch(/^(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$/);
  });

  fuzz('#102 session ids', 150, [anyText('default', 'a.b', '_', 'x'.repeat(64))], (text) => {
    const id = resultOf(() => parseSessionId(text));
    if (id !== null) expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
  });

  fuzz('#104 headers, and no value is in a refusal', 150, [anyText('X-A', ': ', 'value', 'Range', 'Host', 'Cookie', '\xff')], (text) => {
    const header = resultOf(() => parseHeader(text));
    if (header !== null) expect(header.join('')).toMatch(/^[\t\x20-\x7e\x80-\xff]+$/);
    resultOf(() => parseHeader(`S3CRET${text}`));
    try {
      parseHeader(`${text}: S3CRET`);
    } catch (error) {
      expect(String(error)).not.toContain('S3CRET');
    }
  });

  fuzz('#33 proxies, and what goes past them', 150, [anyText('http://', 'user:pass@', 'proxy.example.org', ':3128', '/'), anyText('*', '.example.org', ',', '[::1]', ':443', 'example.org')], (text, no) => {
    const proxy = resultOf(() => parseProxy(text, '--proxy'));
    if (proxy !== null) expect(['http:', 'https:']).toContain(new URL(proxy).protocol);
    proxyFor(new URL('https://a.example.org:443/x'), { https: 'http://p:1', no });
  });
});

const COMMON = { cwd: '/w', stallTimeoutMs: 1, paused: false, forceNew: false, proxy: null } as unknown as CommonChoices;
const URL_PIECES = ['http://', 'https://', 'example.org', ':8080', '/a/b', '?key=', '#f', 'user', ':', '@', '[::1]', 'ftp://', 'javascript:', 'file:///', '//', 'xn--'];

describe('#100 an address', () => {
  fuzz('#100 is fetched as it was read, or refused', 300, [anyText(...URL_PIECES)], (text) => {
    const read = resultOf(() => parseDownloadUrl(text));
    if (read === null) return;
    const { protocol, username, password, hash } = new URL(read.url);
    expect([protocol === 'http:' || protocol === 'https:', username + password + hash]).toEqual([true, '']);
    // Host names are the only part that a parser may rewrite beyond escaping: they must be inert all the same.
    expectInert(read.url);
    expectInert(read.redacted);
    expect(redactUrl(read.redacted)).toBe(read.redacted);
    expect(parseDownloadUrl(read.url).url).toBe(read.url);
  });

  fuzz('#100 is recorded without what is secret in it, and named safely', 200, [anyText(...URL_PIECES), anyText()], (path, secret) => {
    const escaped = isWellFormed(secret) ? encodeURIComponent(`S3CRET${secret}`) : 'S3CRET';
    const url = `https://u${escaped}:p${escaped}@example.org/${path.replaceAll(/[#?\\]/g, '')}?t=${escaped}&${escaped}#${escaped}`;
    const task = resultOf(() => newTask({ url, name: null, label: null, to: null, checksum: null, listed: null, headers: [], netrc: [], cookies: [] }, COMMON));
    if (task === null) return;
    expect(JSON.stringify(task.spec)).not.toContain('S3CRET');
    expectInert(task.spec.name);
  });

  fuzz('#100 is shown without its secrets whatever it is', 200, [anyText(...URL_PIECES)], (text) => {
    expectInert(redactUrl(text));
  });
});

describe('an input file', () => {
  const words = ['http://example.org/a', '\n', '\n  ', 'out=', 'checksum=', 'header=X: ', 'dir=', '{"url":', '"http://x/"', ',"headers":[', '"]', '}', '{', '\t', '# ', '\uFEFF', '__proto__', '"out":'];

  fuzz('is read, or refused in one line that names a line', 250, [anyText(...words)], (text) => {
    const entries = resultOf(() => parseInputFile(text));
    for (const { url, line, options } of entries ?? []) {
      expect(typeof url === 'string' && Number.isInteger(line) && line > 0).toBe(true);
      const { headers, ...rest } = options;
      expect([...headers, ...Object.values(rest)].every((value) => typeof value === 'string')).toBe(true);
      expect(Object.keys(rest).every((key) => ['out', 'to', 'checksum', 'label'].includes(key))).toBe(true);
    }
  });

  const entry = fc.record({ url: fc.webUrl(), out: hostileText(), label: hostileText(), header: hostileText() });
  fuzz('in JSON says again what was written, whatever the texts', 100, [fc.array(entry, { minLength: 1, maxLength: 5 })], (all) => {
    const given = all.map(({ url, out, label, header }) => ({ url, out: out || 'o', label: label || 'l', headers: [header] }));
    const text = given.map((each) => JSON.stringify(each)).join('\n');
    const read = resultOf(() => parseInputFile(text));
    expect(read?.map(({ url, options }) => ({ url, ...options }))).toEqual(given);
  });
});

describe('what is shown', () => {
  fuzz('acts on no terminal, stays as it is the second time, and keeps to its columns', 300, [anyText(), fc.integer({ min: 0, max: 200 })], (text, columns) => {
    const whole = printable(text);
    expectInert(whole);
    expect(printable(whole)).toBe(whole);
    expectInert(printable(text, columns));
    expect([...new Intl.Segmenter().segment(printable(text, columns))].length).toBeLessThanOrEqual(columns);
  });
});
