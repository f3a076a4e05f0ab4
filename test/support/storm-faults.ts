import { hangUp, loginPage, raw, redirect, serve, silence, status, type ServeOptions } from './behaviours.js';
import type { Behaviour, OriginRequest } from './exchange.js';
import type { Cut, FaultKind, Framing, ServerKind, Step } from './schedule.js';

/** One version of a file and what the server calls it. */
export interface Version {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly lastModified: Date;
}

/** All that a fault may need to know. */
export interface Scene {
  readonly request: OriginRequest;
  readonly version: Version;
  readonly server: ServerKind;
  readonly step: Step;
  /** URL of a place that answers as this step would without its fault; at another origin when `elsewhere`, after so many more redirects. */
  target(elsewhere: boolean, hops?: number): string;
  /** URL of a place that says 403: what was signed has expired. */
  readonly expired: string;
}

interface Fault {
  /** Rows of the catalogue. */
  readonly rows: readonly number[];
  /** `null` when it cannot be done to this request: its answer is then as without the fault. */
  readonly make: (scene: Scene) => Behaviour | null;
}

const MINUTE = 60_000;

const bodyFor = (scene: Scene, more: ServeOptions = {}): Behaviour => serve(scene.version.bytes, { ...optionsOf(scene), ...more });
const always = (rows: readonly number[], more: (scene: Scene) => ServeOptions): Fault => ({ rows, make: (scene) => bodyFor(scene, more(scene)) });
/** Only where the rest is asked for can it be told from the truth. */
const onResume = (rows: readonly number[], more: (scene: Scene) => ServeOptions): Fault => ({
  rows,
  make: (scene) => (isResume(scene.request) ? bodyFor(scene, { ranges: 'honour', ...more(scene) }) : null),
});
const answers = (rows: readonly number[], behaviour: (scene: Scene) => Behaviour): Fault => ({ rows, make: behaviour });

const pick = <T>({ step }: Scene, from: readonly [T, ...T[]]): T => from[Math.floor(step.choice * from.length)] ?? from[0];
const sizeOf = ({ version }: Scene): number => version.bytes.length;
const contentRange = (value: (first: number, last: number, total: number) => string | null): ServeOptions => ({ contentRange: value });
const REDIRECTS = [301, 302, 303, 307, 308] as const;
const RETRY_AFTER = ['0', '0', '1', '-5', 'soon', '1.5', '', 'Fri, 99 Foo 9999 99:99:99 GMT', 'past', 'date'] as const;
const STRANGE_HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n';

export const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  'plain': always([], () => ({})),
  'ranges-ignored': { rows: [1], make: (scene) => (isResume(scene.request) ? bodyFor(scene, { ranges: 'ignore' }) : null) },
  'if-range-ignored': { rows: [2], make: (scene) => (scene.request.headers.has('if-range') ? bodyFor(scene, { ranges: 'not-with-if-range' }) : null) },
  'starts-before': onResume([3], ({ step }) => ({ ranges: { shift: -1 - Math.floor(step.choice * 100_000) } })),
  'starts-after': onResume([4], ({ step }) => ({ ranges: { shift: 1 + Math.floor(step.choice * 1000) } })),
  'other-unit': onResume([4], () => contentRange((first, last, total) => `items ${first}-${last}/${total}`)),
  'end-before-start': onResume([4], () => contentRange((first, _last, total) => `bytes ${first}-${first - 1}/${total}`)),
  'no-content-range': onResume([4], () => contentRange(() => null)),
  'multipart': onResume([29], () => ({ ...contentRange(() => null), contentType: 'multipart/byteranges; boundary=x' })),
  'larger-total': always([5], ({ step }) => contentRange((first, last, total) => `bytes ${first}-${last}/${total + 1 + Math.floor(step.choice * 5000)}`)),
  'impossible-total': always([5], () => contentRange((first, last) => `bytes ${first}-${last}/${last}`)),
  'star-total': always([5], () => contentRange((first, last) => `bytes ${first}-${last}/*`)),
  'weak-etag': always([7], ({ version }) => ({ etag: `W/${version.etag}` })),
  'other-node': always([8], ({ version, step }) => ({ etag: `${version.etag.slice(0, -1)}-node-${Math.floor(step.choice * 3)}"` })),
  'recent-date': always([9], (scene) => recently(scene.version)),
  'no-validators': { rows: [11], make: (scene) => serve(scene.version.bytes, without(optionsOf(scene), 'etag', 'lastModified')) },
  'doubled-etag': always([12], ({ version }) => ({ etag: [version.etag, '"another"'] })),
  'longer-length': { rows: [13], make: (scene) => bodyFor(scene, { ...without(optionsOf(scene), 'chunked'), contentLength: sizeOf(scene) + 1 + Math.floor(scene.step.choice * 9000), ranges: 'ignore', truncateAt: sizeOf(scene) - 1 }) },
  // Of a whole file the server's word is all there is: nothing could tell.
  'shorter-length': onResume([13], ({ step }) => ({ chunked: false, contentLength: (right, status) => (status === 206 ? Math.floor(step.choice * right) : right) })),
  'extra-bytes': always([14], () => ({ extraBytes: 70_000, ranges: 'honour' })),
  'two-lengths': answers([15], () => raw(`${STRANGE_HEAD}Content-Length: 6\r\n\r\nwrong!`)),
  'length-and-chunked': answers([15], () => raw(`${STRANGE_HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nwrong\r\n0\r\n\r\n`)),
  'negative-length': answers([15], () => raw('HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nwrong')),
  'huge-length': answers([15], () => raw('HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\nwrong')),
  '416': answers([16], (scene) => status(416, { headers: [['Content-Range', `bytes */${sizeOf(scene)}`], ...validatorHeaders(scene)] })),
  '416-other-size': answers([16], (scene) => status(416, { headers: [['Content-Range', `bytes */${sizeOf(scene) + 4097}`], ...validatorHeaders(scene)] })),
  '416-bare': answers([16], () => status(416)),
  '304': answers([17], () => status(304)),
  '412': answers([17], () => status(412)),
  '204': answers([29], () => status(204)),
  'empty-chunked': answers([29], () => raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')),
  'asked-to-wait': answers([18], (scene) => status(scene.step.choice < 0.5 ? 429 : 503, { retryAfter: retryAfter(pick(scene, RETRY_AFTER)) })),
  'server-error': answers([19], (scene) => status(pick(scene, [500, 502, 504, 520, 521, 522, 524]))),
  'too-early': answers([19], (scene) => status(pick(scene, [408, 425]))),
  'no-entry': answers([20], (scene) => status(pick(scene, [401, 403]), { headers: [['WWW-Authenticate', 'Basic realm="x"']] })),
  'gone': answers([20], (scene) => status(pick(scene, [404, 410]))),
  'redirect': answers([23, 24], (scene) => redirect(scene.target(scene.step.choice < 0.7), pick(scene, REDIRECTS))),
  'redirect-chain': answers([23, 24], (scene) => redirect(scene.target(true, 1 + Math.floor(scene.step.choice * 8)), pick(scene, REDIRECTS))),
  'redirect-expired': answers([20, 24], ({ expired }) => redirect(expired)),
  'redirect-loop': answers([22], (scene) => redirect(scene.target(false, 40))),
  'redirect-refused': answers([22], (scene) => redirect(pick(scene, ['file:///etc/passwd', 'data:text/plain,wrong', 'ftp://127.0.0.1/wrong']))),
  'redirect-nowhere': answers([22], () => status(302)),
  'login-page': answers([25], () => loginPage()),
  'silence': answers([26], () => silence()),
  'slow-headers': always([26], () => ({ headersDelay: 3000 })),
  'hang-up': answers([13], () => hangUp('fin')),
  'reset': answers([27], () => hangUp('rst')),
  'http-0.9': answers([28], () => raw('<html>wrong</html>')),
  'bare-lf': answers([28], () => raw('HTTP/1.1 200 OK\nContent-Length: 5\n\nwrong')),
  'nul': answers([28], () => raw(`${STRANGE_HEAD}X-Strange: a\0b\r\n\r\nwrong`)),
  'folded': answers([28], () => raw(`${STRANGE_HEAD}X-Folded: a\r\n b\r\n: c\r\n\r\nwrong`)),
  'huge-headers': answers([28], () => raw(`${STRANGE_HEAD}X-Huge: ${'x'.repeat(70_000)}\r\n\r\nwrong`)),
  'preliminaries': { rows: [28], make: (scene) => after('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(1 + Math.floor(scene.step.choice * 90)), bodyFor(scene)) },
  'endless-preliminaries': { rows: [28], make: (scene) => after('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000), bodyFor(scene)) },
  // Of an encoded body that ends with its connection nobody could tell that it was cut.
  'gzip': always([30], ({ step }) => ({ ...framed(step.framing === 'close' ? 'length' : step.framing), gzip: true, ranges: 'ignore' })),
  'gzip-range': { rows: [30], make: (scene) => (scene.request.range === null ? null : bodyFor(scene, { gzip: true, ranges: 'honour', status: 206 })) },
};

export function isResume({ range }: OriginRequest): boolean {
  return range !== null && range.start > 0;
}

/** What the server does with a request when no fault but the cut, the pace and the framing of its step comes to it. */
function optionsOf({ version, server, step: { framing, cut, bytesPerSecond } }: Scene): ServeOptions {
  return {
    ...validatorsOf(version, server),
    contentType: 'application/octet-stream',
    ranges: server.ranges,
    ...(server.total === 'star' ? contentRange((first, last) => `bytes ${first}-${last}/*`) : {}),
    ...framed(framing),
    ...(bytesPerSecond === Number.POSITIVE_INFINITY ? {} : { bytesPerSecond }),
    ...(cut === null ? {} : cutOptions(cut)),
  };
}

function framed(framing: Framing): ServeOptions {
  switch (framing) {
    case 'length':
      return {};
    case 'chunked':
      return { chunked: true };
    case 'close':
      return { contentLength: 'none' };
    case 'http10':
      return { http10: true };
  }
}

function cutOptions({ at, how }: Cut): ServeOptions {
  const offset = (length: number): number => Math.max(0, Math.min(length, Number.isInteger(at) ? (at < 0 ? length + at : at) : Math.floor(at * length)));
  switch (how) {
    case 'fin':
    case 'rst':
      return { truncateAt: offset, endWith: how };
    case 'stall':
      return { stallAt: offset };
    case 'trickle':
      return { bytesPerSecond: 400 };
  }
}

function validatorsOf(version: Version, { validators }: ServerKind): ServeOptions {
  const { etag, lastModified } = version;
  switch (validators) {
    case 'etag':
      return { etag };
    case 'etag+date':
      return { etag, lastModified };
    case 'date':
      return { lastModified };
    case 'recent-date':
      return recently(version);
    case 'weak':
      return { etag: `W/${etag}` };
    case 'weak+date':
      return { etag: `W/${etag}`, lastModified };
    case 'doubled':
      return { etag: [etag, '"another"'] };
    case 'none':
      return {};
  }
}

function recently({ lastModified }: Version): ServeOptions {
  return { lastModified, date: new Date(lastModified.getTime() + MINUTE / 6) };
}

function validatorHeaders({ version, server }: Scene): (readonly [string, string])[] {
  return [...([validatorsOf(version, server).etag ?? []].flat().map((etag) => ['ETag', etag] as const))];
}

function retryAfter(form: (typeof RETRY_AFTER)[number]): string {
  if (form === 'past') return new Date(Date.now() - MINUTE).toUTCString();
  return form === 'date' ? new Date(Date.now() + 1000).toUTCString() : form;
}

function without(options: ServeOptions, ...keys: readonly (keyof ServeOptions)[]): ServeOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !keys.some((left) => left === key)));
}

/** Sends `before` as it is, then behaves. */
function after(before: string, behaviour: Behaviour): Behaviour {
  return async (exchange) => {
    await exchange.write(Buffer.from(before, 'latin1'));
    await behaviour(exchange);
  };
}
