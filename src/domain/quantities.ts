import { PosteError } from './errors.js';
import { printable } from './printable.js';

const PREFIXES = ['', 'K', 'M', 'G', 'T', 'P', 'E'] as const;

/**
 * Bytes from `500`, `10M`, `1.5G` (powers of 1024, as curl and aria2 read them), `10MiB` (the same) or `10MB` (powers of 1000).
 * Case does not matter, a blank before the unit is allowed, and a fraction of a byte is dropped.
 * @throws PosteError `usage`
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtpe])(i?b?)|b)?$/i.exec(text);
  if (match === null) throw refused(text, 'is not a size', SIZE_EXAMPLE);
  const [, number = '', prefix = '', unit = ''] = match;
  const base = unit.toLowerCase() === 'b' ? 1000 : 1024;
  const bytes = Math.floor(Number(number) * base ** indexOfPrefix(prefix));
  if (!Number.isSafeInteger(bytes)) throw refused(text, 'is too large', SIZE_EXAMPLE);
  return bytes;
}

/**
 * Bytes a second, written as a size, with or without `/s`: `2M` is 2 MiB/s. `0` is no limit, as with curl: `null`.
 * @throws PosteError `usage`
 */
export function parseRate(text: string): number | null {
  const rate = parseSize(text.replace(/\/s$/i, ''));
  return rate === 0 ? null : rate;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

const LONGEST_MS = 36_525 * 86_400_000;

/**
 * Milliseconds from `90s`, `10m`, `1h30m`, `1.5h`, `7d`, `2w`; a bare number is seconds. At most a hundred years.
 * @throws PosteError `usage`
 */
export function parseDuration(text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:(?:ms|[smhdw]) ?(?=\d|$)|$))+$/.test(text)) throw refused(text, 'is not a duration', DURATION_EXAMPLE);
  const parts = [...text.matchAll(/([\d.]+)(ms|[smhdw]|$)/g)];
  const milliseconds = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit || 's'] ?? 0), 0);
  if (milliseconds > LONGEST_MS) throw refused(text, 'is too long', DURATION_EXAMPLE);
  return Math.round(milliseconds);
}

/**
 * Epoch milliseconds from ISO 8601 (a date, or a date and a time; without a zone it is local time), from `18:00` (local, the next one
 * after `now`), or from `now` and `now+2h`.
 * @throws PosteError `usage`; also for a day or a time that no calendar has
 */
export function parseTime(text: string, now: number): number {
  const relative = /^now(?: ?\+ ?(.*))?$/i.exec(text);
  if (relative !== null) return now + (relative[1] === undefined ? 0 : parseDuration(relative[1]));
  const clock = /^(\d\d?):(\d\d)(?::(\d\d))?$/.exec(text);
  const time = clock === null ? isoTime(text) : nextClockTime(numbers(clock.slice(1)), now);
  if (time === null) throw refused(text, 'is not a time', 'write it like 18:00, now+2h or 2030-01-31T18:00');
  return time;
}

/** `999 B`, `1.4 GiB`: powers of 1024, one decimal. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let prefix = 0;
  // What would be rounded to 1024.0 belongs to the next unit.
  while (value >= (prefix === 0 ? 1024 : 1023.95) && prefix < PREFIXES.length - 1) {
    value /= 1024;
    prefix += 1;
  }
  return prefix === 0 ? `${Math.floor(value)} B` : `${value.toFixed(1)} ${PREFIXES[prefix]}iB`;
}

/** `1.4 MiB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond)}/s`;
}

/** `250ms`, `45s`, `3m20s`, `2h5m`, `7d12h`: the two largest units, in the form that {@link parseDuration} reads. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return ms < 0.5 ? '0s' : `${Math.min(Math.round(ms), 999)}ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(seconds, 60, 'm', 's');
  const minutes = Math.round(ms / 60_000);
  return minutes < 1440 ? pair(minutes, 60, 'h', 'm') : pair(Math.round(ms / 3_600_000), 24, 'd', 'h');
}

/** The time that is left, from seconds; `--` when it is unknown. */
export function formatEta(seconds: number | null): string {
  if (seconds === null) return '--';
  return seconds >= 100 * 86_400 ? '>99d' : formatDuration(Math.ceil(seconds) * 1000);
}

const SIZE_EXAMPLE = 'write it like 500K, 10M, 1.5G (powers of 1024) or 10MB (powers of 1000)';
const DURATION_EXAMPLE = 'write it like 90s, 10m, 1h30m or 7d; a bare number is seconds';

function refused(text: string, fault: string, hint: string): PosteError {
  return new PosteError('usage', `"${printable(text.slice(0, 200), 40)}" ${fault}`, { hint });
}

function indexOfPrefix(letter: string): number {
  return PREFIXES.findIndex((prefix) => prefix === letter.toUpperCase());
}

function pair(count: number, base: number, large: string, small: string): string {
  const [whole, rest] = [Math.floor(count / base), count % base];
  return (whole > 0 ? `${whole}${large}` : '') + (rest > 0 ? `${rest}${small}` : '');
}

function nextClockTime([hours = 0, minutes = 0, seconds = 0]: readonly number[], now: number): number | null {
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  const date = new Date(now);
  date.setHours(hours, minutes, seconds, 0);
  if (date.getTime() <= now) {
    date.setDate(date.getDate() + 1);
    // Again, for the day on which the clock is changed.
    date.setHours(hours, minutes, seconds, 0);
  }
  return date.getTime();
}

/** A group that took no part counts as 0. */
function numbers(groups: readonly (string | undefined)[]): number[] {
  return groups.map((group) => Number(group ?? 0));
}

const ISO_TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?$/;

function isoTime(text: string): number | null {
  const match = ISO_TIME.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = numbers(match.slice(1, 7));
  const millisecond = Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000);
  const utc = new Date(Date.UTC(year, month - 1, day, hour, minute, second, millisecond));
  // Date lets 30 February run over into March, and 24:00 into the next day.
  const exists = utc.getUTCMonth() === month - 1 && hour < 24 && minute < 60 && second < 60;
  if (!exists || year < 1970) return null;
  if (match[8] !== undefined) return utc.getTime();
  const [sign, zoneHours, zoneMinutes] = [match[9] === '-' ? -1 : 1, Number(match[10] ?? 0), Number(match[11] ?? 0)];
  if (match[9] !== undefined) {
    return zoneHours > 23 || zoneMinutes > 59 ? null : utc.getTime() - sign * (zoneHours * 60 + zoneMinutes) * 60_000;
  }
  return new Date(year, month - 1, day, hour, minute, second, millisecond).getTime();
}
