import { gzipSync } from 'node:zlib';
import type { Behaviour, Exchange, OriginRequest } from './exchange.js';

type Header = readonly [string, string];

type Offset = number | ((bodyLength: number) => number);

export interface ServeOptions {
  /** As sent, quotes and `W/` included; several make several headers. */
  readonly etag?: string | readonly string[];
  readonly lastModified?: Date | string;
  /** The Date header; default now. */
  readonly date?: Date;
  /**
   * `honour` (default): 206, 416, and If-Range as RFC 9110 has it. `ignore`: always 200. `not-with-if-range`: 200 whenever
   * If-Range is there, as some CDNs do. `despite-if-range`: 206 whatever it says, as others do. `shift`: the 206 begins that many bytes after (before, if negative) what was asked, and says so.
   */
  readonly ranges?: 'honour' | 'ignore' | 'not-with-if-range' | 'despite-if-range' | { readonly shift: number };
  /** Sends no more of a range than this many bytes in one answer. */
  readonly pieceBytes?: number;
  /** Instead of the status that fits. */
  readonly status?: number;
  /** Instead of the right Content-Range of a 206; `null` leaves it out. */
  readonly contentRange?: (first: number, last: number, total: number) => string | null;
  /** `none` without `chunked` makes the body end with the connection; a function is given the right one and the status. */
  readonly contentLength?: 'right' | 'none' | number | ((right: number, status: number) => number);
  readonly contentType?: string;
  readonly chunked?: boolean;
  /** Answers as HTTP/1.0 and closes. */
  readonly http10?: boolean;
  /** Sends this many bytes of the body, then ends the connection as `endWith` says; of a body so long, when it is a function. */
  readonly truncateAt?: Offset;
  /** How a truncated body or one that ends with the connection ends; default `fin`. */
  readonly endWith?: 'fin' | 'rst';
  /** Sends this many bytes of the body, then nothing more; the connection stays open. */
  readonly stallAt?: Offset;
  /** Sends this many bytes of the body, then nothing until that has come about; see {@link makeHold}. */
  readonly hold?: { readonly at: number; readonly until: Promise<void> };
  readonly bytesPerSecond?: number;
  /** Milliseconds before the status line. */
  readonly headersDelay?: number;
  readonly extraHeaders?: readonly Header[];
  /** The body goes out gzipped, with Content-Encoding, though nobody asked. */
  readonly gzip?: boolean;
  /** This many zeros after the body; `Infinity` never ends. */
  readonly extraBytes?: number;
}

/** A moment in a download that a test chooses: `until` resolves once `release` is called. */
export function makeHold(at: number): { readonly at: number; readonly until: Promise<void>; readonly release: () => void } {
  let release = (): void => undefined;
  const until = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { at, until, release };
}

/** A file, served well or, as the options say, badly. */
export function serve(file: Buffer, options: ServeOptions = {}): Behaviour {
  return async (exchange) => {
    const answer = answerTo(exchange.request, file, options);
    if (options.headersDelay) await exchange.pause(options.headersDelay);
    await exchange.head(answer.status, headersOf(answer, options), options.http10 ? '1.0' : '1.1');
    if (exchange.request.method !== 'HEAD') await sendBody(exchange, answer.body, options);
  };
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly contentRange: string | null;
}

function answerTo(request: OriginRequest, file: Buffer, options: ServeOptions): Answer {
  if (request.range === null || !rangeApplies(request, options)) {
    return { status: options.status ?? 200, body: options.gzip ? gzipSync(file) : file, contentRange: null };
  }
  const total = file.length;
  if (request.range.start >= total) return { status: 416, body: Buffer.alloc(0), contentRange: `bytes */${total}` };
  const shift = typeof options.ranges === 'object' ? options.ranges.shift : 0;
  const first = Math.min(Math.max(request.range.start + shift, 0), total - 1);
  const last = Math.max(first, Math.min(request.range.end ?? total - 1, total - 1, first + (options.pieceBytes ?? total) - 1));
  const part = file.subarray(first, last + 1);
  return {
    status: options.status ?? 206,
    body: options.gzip ? gzipSync(part) : part,
    contentRange: options.contentRange ? options.contentRange(first, last, total) : `bytes ${first}-${last}/${total}`,
  };
}

/** RFC 9110 13.1.5: If-Range takes a strong ETag or an exact date; anything else means the whole file. */
function rangeApplies(request: OriginRequest, options: ServeOptions): boolean {
  if (options.ranges === 'ignore') return false;
  const ifRange = request.headers.get('if-range');
  if (ifRange === undefined) return true;
  if (options.ranges === 'not-with-if-range') return false;
  if (options.ranges === 'despite-if-range') return true;
  if (!ifRange.endsWith('"')) return options.lastModified !== undefined && ifRange === httpDate(options.lastModified);
  return !ifRange.startsWith('W/') && ifRange === options.etag;
}

function headersOf(answer: Answer, options: ServeOptions): Header[] {
  const headers: Header[] = [['Date', httpDate(options.date ?? new Date())]];
  if (options.contentType !== undefined) headers.push(['Content-Type', options.contentType]);
  if (options.ranges === undefined || options.ranges === 'honour') headers.push(['Accept-Ranges', 'bytes']);
  for (const etag of [options.etag ?? []].flat()) headers.push(['ETag', etag]);
  if (options.lastModified !== undefined) headers.push(['Last-Modified', httpDate(options.lastModified)]);
  if (answer.contentRange !== null) headers.push(['Content-Range', answer.contentRange]);
  if (options.gzip) headers.push(['Content-Encoding', 'gzip']);
  if (options.chunked) headers.push(['Transfer-Encoding', 'chunked']);
  const length = options.contentLength ?? (options.chunked ? 'none' : 'right');
  const told = typeof length === 'function' ? length(answer.body.length, answer.status) : length === 'right' ? answer.body.length : length;
  if (told !== 'none') headers.push(['Content-Length', String(told)]);
  if (endsWithConnection(options)) headers.push(['Connection', 'close']);
  return [...headers, ...(options.extraHeaders ?? [])];
}

async function sendBody(exchange: Exchange, whole: Buffer, options: ServeOptions): Promise<void> {
  const { chunked = false, endWith = 'fin' } = options;
  const offset = (at: Offset = Infinity): number => (typeof at === 'function' ? at(whole.length) : at);
  const truncateAt = offset(options.truncateAt);
  const stallAt = offset(options.stallAt);
  const pace = {
    ...(options.bytesPerSecond === undefined ? {} : { bytesPerSecond: options.bytesPerSecond }),
    ...(chunked ? { framed: asChunk } : {}),
  };
  const end = Math.min(truncateAt, stallAt, whole.length);
  const held = Math.min(options.hold?.at ?? end, end);
  await exchange.body(whole.subarray(0, held), pace);
  // Whoever leaves meanwhile is noticed when the rest is sent.
  if (held < end) await Promise.race([options.hold?.until, exchange.pause(Infinity)]);
  await exchange.body(whole.subarray(held, end), pace);
  if (stallAt <= truncateAt && stallAt < whole.length) await exchange.pause(Infinity);
  if (truncateAt < whole.length) return exchange.close(endWith);
  const zeros = Buffer.alloc(64 * 1024);
  for (let left = options.extraBytes ?? 0; left > 0; left -= zeros.length) await exchange.body(zeros.subarray(0, left), pace);
  if (chunked) await exchange.write(Buffer.from('0\r\n\r\n'));
  if (endsWithConnection(options)) await exchange.close(endWith);
}

function endsWithConnection(options: ServeOptions): boolean {
  return options.http10 === true || (options.contentLength === 'none' && options.chunked !== true);
}

function asChunk(slice: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${slice.length.toString(16)}\r\n`), slice, Buffer.from('\r\n')]);
}

function httpDate(date: Date | string): string {
  return typeof date === 'string' ? date : date.toUTCString();
}

export interface StatusOptions {
  /** Sent as given. */
  readonly retryAfter?: string | number;
  readonly headers?: readonly Header[];
  readonly body?: string;
}

/** A status with a short text. */
export function status(code: number, { retryAfter, headers = [], body = `status ${code}\n` }: StatusOptions = {}): Behaviour {
  const more: Header[] = retryAfter === undefined ? [] : [['Retry-After', String(retryAfter)]];
  return answer(code, 'text/plain', code === 204 || code === 304 ? '' : body, [...more, ...headers]);
}

export function redirect(location: string, code = 302): Behaviour {
  return answer(code, 'text/plain', '', [['Location', location]]);
}

/** A log-in page where a file should be: 200 and HTML. */
export function loginPage(): Behaviour {
  return answer(200, 'text/html; charset=utf-8', '<!doctype html><title>Log in</title><form><input name="user"></form>\n', []);
}

function answer(code: number, contentType: string, body: string, headers: readonly Header[]): Behaviour {
  return async (exchange) => {
    const bytes = Buffer.from(body);
    const length: Header[] = code === 204 || code === 304 ? [] : [['Content-Length', String(bytes.length)]];
    await exchange.head(code, [['Date', httpDate(new Date())], ['Content-Type', contentType], ...length, ...headers]);
    if (exchange.request.method !== 'HEAD') await exchange.body(bytes);
  };
}

/** Exactly these bytes, well-formed or not, then the end of the connection. */
export function raw(bytes: string | Buffer): Behaviour {
  return async (exchange) => {
    await exchange.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    await exchange.close('fin');
  };
}

/** No answer: the connection ends at once. */
export function hangUp(how: 'fin' | 'rst' = 'fin'): Behaviour {
  return (exchange) => exchange.close(how);
}

/** No answer, ever. */
export function silence(): Behaviour {
  return (exchange) => exchange.pause(Infinity);
}

/** One behaviour a request, in this order; the last goes on for good. */
export function inTurn(...behaviours: readonly Behaviour[]): (request: OriginRequest) => Behaviour {
  let next = 0;
  return () => {
    const behaviour = behaviours[Math.min(next, behaviours.length - 1)];
    if (behaviour === undefined) throw new Error('inTurn needs a behaviour');
    next += 1;
    return behaviour;
  };
}

/** A behaviour by path (without the query); 404 for others. */
export function routes(table: Readonly<Record<string, Behaviour>>): (request: OriginRequest) => Behaviour {
  return ({ path }) => table[path.split('?')[0] ?? ''] ?? status(404);
}
