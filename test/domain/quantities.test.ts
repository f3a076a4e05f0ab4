import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  formatDuration,
  formatEta,
  formatRate,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
  parseTime,
} from '../../src/domain/quantities.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const usage = expect.objectContaining({
  code: 'usage',
  message: expect.stringMatching(/^[^\p{Cc}]{1,100}$/u) as string,
  hint: expect.stringContaining('write it like') as string,
}) as Error;

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['500', 500],
    ['500B', 500],
    ['1K', 1024],
    ['10M', 10 * 1024 ** 2],
    ['10m', 10 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    ['2T', 2 * 1024 ** 4],
    ['1P', 1024 ** 5],
    ['3KiB', 3 * 1024],
    ['3Ki', 3 * 1024],
    ['3 MiB', 3 * 1024 ** 2],
    ['3kB', 3000],
    ['3MB', 3_000_000],
    ['4.7GB', 4_700_000_000],
    ['1.3K', 1331],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ...['', ' ', '-1', '+1', '1e3', '0x10', 'ten', '10X', '10 M B', '1,5G', '1.', '.5G', '10M ', '10iB'],
    ...['Infinity', 'NaN', '9007199254740993', '99E', '\x1b'],
  ])('refuses %j with an example', (text) => {
    expect(() => parseSize(text)).toThrow(usage);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [10 * 1024 ** 2, '10.0 MiB'],
    [1_503_238_553, '1.4 GiB'],
    [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
  ])('%d bytes are shown as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('can be read again as shown, to the decimal shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (bytes) => {
        const again = parseSize(formatSize(bytes));
        expect(Math.abs(again - bytes)).toBeLessThanOrEqual(bytes * 0.051);
        expect(formatSize(bytes)).toMatch(/^(\d{1,3}|10[01]\d|102[0-3])(\.\d)? (B|[KMGTP]iB)$/);
      }),
    );
  });

  it('a larger number of the same unit is never fewer bytes', () => {
    const unit = fc.constantFrom('', 'K', 'MiB', 'MB', 'g', 'T');
    fc.assert(
      fc.property(fc.nat({ max: 8000 }), fc.nat({ max: 8000 }), unit, (a, b, each) => {
        expect(parseSize(`${Math.min(a, b)}${each}`)).toBeLessThanOrEqual(parseSize(`${Math.max(a, b)}${each}`));
      }),
    );
  });
});

describe('rates', () => {
  it.each([
    ['2M', 2 * 1024 ** 2],
    ['2M/s', 2 * 1024 ** 2],
    ['1MB/s', 1_000_000],
    ['800', 800],
    ['0', null],
    ['0K', null],
  ])('%s is %s bytes a second', (text, rate) => {
    expect(parseRate(text)).toBe(rate);
  });

  it.each(['', 'fast', '-1', '2M/h', '/s'])('refuses %j', (text) => {
    expect(() => parseRate(text)).toThrow(usage);
  });

  it('are shown as sizes a second', () => {
    expect(formatRate(2 * 1024 ** 2)).toBe('2.0 MiB/s');
  });
});

describe('durations', () => {
  it.each([
    ['90', 90 * SECOND],
    ['0', 0],
    ['1.5', 1500],
    ['90s', 90 * SECOND],
    ['10m', 10 * MINUTE],
    ['7d', 7 * DAY],
    ['2w', 14 * DAY],
    ['250ms', 250],
    ['1h30m', 90 * MINUTE],
    ['1h 30m', 90 * MINUTE],
    ['1.5h', 90 * MINUTE],
    ['1d12h30m5s', 36 * HOUR + 30 * MINUTE + 5 * SECOND],
    ['1m30', 90 * SECOND],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', '-1s', '1x', '1 h', '1h-30m', '1..5h', '10min', '1H', 'forever', '1e3', '101 w', '40000d', '9'.repeat(400), '1h\n'])(
    'refuses %.20j with an example',
    (text) => {
      expect(() => parseDuration(text)).toThrow(usage);
    },
  );

  it.each([
    [0, '0s'],
    [250, '250ms'],
    [999.7, '999ms'],
    [1000, '1s'],
    [59_600, '1m'],
    [200_000, '3m20s'],
    [3_599_700, '1h'],
    [2 * HOUR + 5 * MINUTE + 10 * SECOND, '2h5m'],
    [DAY - 1, '1d'],
    [7 * DAY, '7d'],
    [7.5 * DAY, '7d12h'],
  ])('%d ms are shown as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('can be read again as shown, to within the smaller unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 365 * DAY }), (ms) => {
        const slack = ms < 1000 ? 0.5 : ms < HOUR ? SECOND : ms < DAY ? MINUTE : HOUR;
        expect(Math.abs(parseDuration(formatDuration(ms)) - ms)).toBeLessThanOrEqual(slack);
      }),
    );
  });

  it.each([
    [null, '--'],
    [0, '0s'],
    [0.2, '1s'],
    [200, '3m20s'],
    [1e12, '>99d'],
    [Infinity, '>99d'],
  ])('%s seconds to go are shown as %s', (seconds, text) => {
    expect(formatEta(seconds)).toBe(text);
  });
});

describe('times, in Berlin', () => {
  const zone = process.env['TZ'];
  beforeAll(() => {
    process.env['TZ'] = 'Europe/Berlin';
  });
  afterAll(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });

  const at = (iso: string): number => Date.parse(iso);
  // 14:30 in Berlin.
  const now = at('2025-01-31T13:30:00.000Z');

  it.each([
    ['now', '2025-01-31T13:30:00Z'],
    ['now+2h', '2025-01-31T15:30:00Z'],
    ['now + 90s', '2025-01-31T13:31:30Z'],
    ['18:00', '2025-01-31T17:00:00Z'],
    ['9:05', '2025-02-01T08:05:00Z'],
    ['14:30', '2025-02-01T13:30:00Z'],
    ['14:30:01', '2025-01-31T13:30:01Z'],
    ['00:00', '2025-01-31T23:00:00Z'],
    ['2030-01-31', '2030-01-30T23:00:00Z'],
    ['2030-07-31T18:00', '2030-07-31T16:00:00Z'],
    ['2030-07-31 18:00', '2030-07-31T16:00:00Z'],
    ['2030-01-31T18:00Z', '2030-01-31T18:00:00Z'],
    ['2030-01-31T18:00:30.25Z', '2030-01-31T18:00:30.250Z'],
    ['2030-01-31T18:00+05:30', '2030-01-31T12:30:00Z'],
    ['2030-01-31T18:00:00-0800', '2030-02-01T02:00:00Z'],
    ['2028-02-29T00:00Z', '2028-02-29T00:00:00Z'],
  ])('%s is %s', (text, iso) => {
    expect(new Date(parseTime(text, now)).toISOString()).toBe(new Date(iso).toISOString());
  });

  it('a time of day on the morning of summer time is by the new clock', () => {
    const evening = at('2025-03-29T20:00:00Z');
    expect(parseTime('03:30', evening)).toBe(at('2025-03-30T01:30:00Z'));
  });

  it.each([
    ...['', '25:00', '24:00', '12:60', '12', '18.00', '12:00\n', 'tomorrow', 'now+', 'now-2h', 'now+2x', '1738330200', '01/31/2025'],
    ...['2025-02-30', '2025-02-29T00:00Z', '2025-13-01', '2025-00-10', '2025-01-00', '2025-01-32', '2025-1-1', '0001-01-01'],
    ...['2025-01-01T24:00', '2025-01-01T10:60', '2025-01-01T10:00:60', '2025-01-01T10', '2025-01-01T10:00+25:00'],
  ])('refuses %j with an example', (text) => {
    expect(() => parseTime(text, now)).toThrow(usage);
  });

  it('reads every instant that ISO 8601 can write', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: at('2999-12-31T00:00:00Z') }), (time) => {
        expect(parseTime(new Date(time).toISOString(), now)).toBe(time);
      }),
    );
  });

  it('a time of day is always within the day to come, summer time or not', () => {
    const minutes = fc.integer({ min: 0, max: 1439 });
    fc.assert(
      fc.property(fc.integer({ min: at('2024-01-01T00:00:00Z'), max: at('2031-01-01T00:00:00Z') }), minutes, (from, minute) => {
        const clock = `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
        const wait = parseTime(clock, from) - from;
        expect(wait).toBeGreaterThan(0);
        expect(wait).toBeLessThanOrEqual(25 * HOUR);
      }),
    );
  });
});
