import { gzipSync } from 'node:zlib';
import { content, inTurn, loginPage, serve, status, type Behaviour, type Script, type ServeOptions } from '../support/origin.js';

/** What one server does to whoever downloads from it. A script is made anew for each client. */
export interface Schedule {
  /** Rows of the catalogue that it is about. */
  readonly faults: string;
  /** A row of the table. */
  readonly title: string;
  /** Every version of the file that the server ever had: any of them is a right file. */
  readonly versions: readonly Buffer[];
  readonly before: () => Script;
  /** What `after` follows on: the server resets its connections, or the client is killed with -9, when half of the file was sent. */
  readonly interruption: 'reset' | 'kill' | null;
  readonly after?: () => Script;
}

const SIZE = 4 * 1024 * 1024;
/** For each connection. Slow enough to be interrupted half way, and to have read what was sent. */
const PACE = { bytesPerSecond: 4 * 1024 * 1024 };
const OLD = new Date(Date.now() - 48 * 3_600_000);
const LATER = new Date(Date.now() - 24 * 3_600_000);

const file = content('the old version', SIZE);
const newer = content('the new version', SIZE);
const longer = Buffer.concat([newer, content('more', 100_000)]);
const shorter = newer.subarray(0, SIZE / 4);

/** The server goes away half way, and the file is another one when it is back. */
function replaced(faults: string, title: string, by: Buffer, before: ServeOptions, after: ServeOptions, interruption: 'reset' | 'kill' = 'reset'): Schedule {
  return {
    faults,
    title,
    versions: [file, by],
    before: () => () => serve(file, { ...before, ...PACE }),
    interruption,
    after: () => () => serve(by, after),
  };
}

/** The server goes away half way, and is an odd one when it is back. The file stays the same. */
function odd(faults: string, title: string, before: ServeOptions, after: () => Script): Schedule {
  return { faults, title, versions: [file], before: () => () => serve(file, { ...before, ...PACE }), interruption: 'reset', after };
}

/** The first four answers end too early. */
function truncated(faults: string, title: string, options: ServeOptions): Schedule {
  const script: Script = ({ n, range }) => {
    const whole = SIZE - (range?.start ?? 0);
    return serve(file, { ...options, ...(n > 4 ? {} : { truncateAt: Math.floor(whole * 0.6) }) });
  };
  return { faults, title, versions: [file], before: () => script, interruption: null };
}

const tagged: ServeOptions = { etag: '"1"', lastModified: OLD };
const page: Behaviour = loginPage();

export const SCHEDULES: readonly Schedule[] = [
  replaced('#6', 'replaced between two tries: strong ETag, same size', newer, { etag: '"1"' }, { etag: '"2"' }),
  replaced('#5 #6', '… strong ETag, longer', longer, { etag: '"1"' }, { etag: '"2"' }),
  replaced('#5 #6 #16', '… strong ETag, shorter than what is here', shorter, { etag: '"1"' }, { etag: '"2"' }),
  replaced('#6', '… Last-Modified only, same size', newer, { lastModified: OLD }, { lastModified: LATER }),
  replaced('#5', '… Last-Modified only, longer', longer, { lastModified: OLD }, { lastModified: LATER }),
  replaced('#7', '… weak ETag only, same size', newer, { etag: 'W/"1"' }, { etag: 'W/"2"' }),
  replaced('#11', '… no validator, same size', newer, {}, {}),
  replaced('#5 #11', '… no validator, longer', longer, {}, {}),
  replaced('#10', '… under the same ETag and date, same size', newer, tagged, tagged),
  replaced('#1 #6', '… strong ETag, same size, on a server that ignores ranges then', newer, { etag: '"1"' }, { etag: '"2"', ranges: 'ignore' }),
  replaced('#6 #40', '… strong ETag, same size, while the client is dead (kill -9)', newer, { etag: '"1"' }, { etag: '"2"' }, 'kill'),
  {
    faults: '#6',
    title: 'replaced after the first connection has begun: strong ETag, same size',
    versions: [file, newer],
    before: () => inTurn(serve(file, { etag: '"1"', ...PACE }), serve(newer, { etag: '"2"' })),
    interruption: null,
  },
  odd('#2', 'a CDN that answers 200 to any If-Range', tagged, () => () => serve(file, { ...tagged, ranges: 'not-with-if-range' })),
  odd('#1', 'ranges ignored on resume', tagged, () => () => serve(file, { ...tagged, ranges: 'ignore' })),
  odd('#4', '206 that starts 1000 bytes after what was asked', tagged, () => () => serve(file, { ...tagged, ranges: { shift: 1000 } })),
  odd('#3', '206 that starts 1000 bytes before what was asked', tagged, () => () => serve(file, { ...tagged, ranges: { shift: -1000 } })),
  odd('#4', '206 without a Content-Range, from elsewhere', tagged, () => () => serve(file, { ...tagged, ranges: { shift: 1000 }, contentRange: () => null })),
  odd('#25', 'a log-in page (200, HTML) at the first request after the cut', tagged, () => inTurn(page, serve(file, tagged))),
  odd('#19', '503 with a page at the first request after the cut', tagged, () => inTurn(status(503), serve(file, tagged))),
  { faults: '#25', title: 'a log-in page (200, HTML) at the very first request', versions: [file], before: () => inTurn(page, serve(file, tagged)), interruption: null },
  truncated('#13 #27', 'four answers too short: Content-Length, FIN', tagged),
  truncated('#13 #27', '… Content-Length, RST', { ...tagged, endWith: 'rst' }),
  truncated('#13', '… chunked, FIN', { ...tagged, chunked: true }),
  truncated('#13', '… a body that ends with its connection, FIN', { ...tagged, contentLength: 'none' }),
  truncated('#13 #27', '… a body that ends with its connection, RST', { ...tagged, contentLength: 'none', endWith: 'rst' }),
  {
    faults: '#30',
    title: 'gzip although nobody asked, each part by itself',
    versions: [file, gzipSync(file)],
    before: () => () => serve(file, { ...tagged, gzip: true, ...PACE }),
    interruption: 'reset',
    after: () => () => serve(file, { ...tagged, gzip: true }),
  },
];

const BIG = content('a big file', 32 * 1024 * 1024);

/**
 * Nothing is wrong with this server; what is sent beyond one copy of the file is what the kill cost. It is so slow because what it has
 * sent ahead, into buffers that nobody has read, counts too, and a busy machine reads late.
 */
export const KILLED: Schedule = {
  faults: '#40',
  title: 'killed with -9 half way, then run again',
  versions: [BIG],
  before: () => () => serve(BIG, { ...tagged, bytesPerSecond: 4 * 1024 * 1024 }),
  interruption: 'kill',
  after: () => () => serve(BIG, { ...tagged, bytesPerSecond: 4 * 1024 * 1024 }),
};
