import { Choices } from './choices.js';

/** What an origin does to one request. Which rows of the catalogue each shows, and how it is done, is in storm-faults.ts. */
export const FAULT_KINDS = [
  ...['plain', 'ranges-ignored', 'if-range-ignored', 'starts-before', 'starts-after', 'other-unit', 'end-before-start', 'no-content-range'],
  ...['multipart', 'larger-total', 'impossible-total', 'star-total', 'weak-etag', 'other-node', 'recent-date', 'no-validators', 'doubled-etag'],
  ...['longer-length', 'shorter-length', 'extra-bytes', 'two-lengths', 'length-and-chunked', 'negative-length', 'huge-length'],
  ...['416', '416-other-size', '416-bare', '304', '412', '204', 'empty-chunked', 'asked-to-wait', 'server-error', 'too-early'],
  ...['no-entry', 'gone', 'redirect', 'redirect-chain', 'redirect-expired', 'redirect-loop', 'redirect-refused', 'redirect-nowhere'],
  ...['login-page', 'silence', 'slow-headers', 'hang-up', 'reset', 'http-0.9', 'bare-lf', 'nul', 'folded', 'huge-headers'],
  ...['preliminaries', 'endless-preliminaries', 'gzip', 'gzip-range'],
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** How the end of a body is told. */
export type Framing = 'length' | 'chunked' | 'close' | 'http10';

/** A body that does not get to its end. */
export interface Cut {
  /** A whole number is so many bytes of it, negative ones counted from its end; a fraction is that part of it. */
  readonly at: number;
  readonly how: 'fin' | 'rst' | 'stall' | 'trickle';
}

/** What happens at one request. */
export interface Step {
  readonly kind: FaultKind;
  readonly framing: Framing;
  readonly cut: Cut | null;
  readonly bytesPerSecond: number;
  /** Right before it the file became another one: with other validators, or with the same. */
  readonly change: 'announced' | 'silent' | null;
  /** In [0, 1): for what else the fault has to choose. */
  readonly choice: number;
}

/** The worker is killed so long after the answer to the request has sent so many bytes of its body. */
export interface Kill {
  readonly request: number;
  readonly afterBytes: number;
  readonly delayMs: number;
}

/** What the server is like, faults or not. */
export interface ServerKind {
  readonly tls: boolean;
  readonly validators: 'etag' | 'etag+date' | 'date' | 'recent-date' | 'weak' | 'weak+date' | 'doubled' | 'none';
  readonly ranges: 'honour' | 'ignore' | 'not-with-if-range';
  readonly framing: Framing;
  readonly total: 'told' | 'star';
}

/** All that a storm does to one download, and nothing but its seed decides. After the last step the server behaves well. */
export interface Schedule {
  readonly seed: number;
  readonly server: ServerKind;
  /** Bytes of the file's first version. */
  readonly size: number;
  /** How many connections the download may have. */
  readonly connections: number;
  /** The digest of the last version is given. */
  readonly hasDigest: boolean;
  /** A header that no other origin may see is given. */
  readonly hasSecret: boolean;
  readonly steps: readonly Step[];
  readonly kills: readonly Kill[];
}

/** Nothing that comes again helps against these: they end in `failed`, at least when nothing is here yet. */
const PERMANENT: ReadonlySet<FaultKind> = new Set<FaultKind>([
  ...(['extra-bytes', 'two-lengths', 'length-and-chunked', 'negative-length', 'huge-length', 'empty-chunked', 'no-entry', 'gone'] as const),
  ...(['redirect-expired', 'redirect-loop', 'redirect-refused', 'redirect-nowhere', 'http-0.9', 'bare-lf', 'nul', 'folded', 'huge-headers'] as const),
  'endless-preliminaries',
]);

/** Only where the rest of a file is asked for can they be done, so they must be tried more often. */
const ON_RESUME: readonly FaultKind[] = [
  ...(['ranges-ignored', 'if-range-ignored', 'starts-before', 'starts-after', 'other-unit', 'end-before-start', 'no-content-range'] as const),
  ...(['multipart', 'shorter-length'] as const),
];
const PASSING = [...ON_RESUME, ...FAULT_KINDS.filter((kind) => kind !== 'plain' && !PERMANENT.has(kind))];
/** May come in answer to a request that was to tell whether a body was whole. */
const UNHELPFUL: readonly FaultKind[] = ['login-page', 'no-entry', 'gone', 'server-error', 'hang-up', 'redirect', 'silence', '204', '304', '412'];
const MOST_STEPS = 10;
/** Of each hundred storms, the last ones over several connections. */
const CENTURY = 100;
const SEVERAL_FROM = 76;

export function scheduleOf(seed: number): Schedule {
  const choices = new Choices(`storm ${seed}`);
  const server = serverOf(choices);
  const connections = (seed - 1) % CENTURY >= SEVERAL_FROM - 1 ? 4 : 1;
  const size = connections === 1 ? sizeOf(choices) : choices.magnitude(2_000_000, 8_000_000);
  const steps: Step[] = [];
  // Each permanent error costs a user's `retry`: one storm in six has them.
  let permanents = choices.chance(1 / 6) ? choices.int(1, 2) : 0;
  const isChangeable = choices.chance(0.5);
  for (let left = choices.int(2, MOST_STEPS); left > 0; left -= 1) {
    const isPermanent = permanents > 0 && choices.chance(0.5);
    if (isPermanent) permanents -= 1;
    const kind = isPermanent ? choices.pick([...PERMANENT]) : choices.chance(0.25) ? 'plain' : choices.pick(PASSING);
    const step = stepOf(choices, server, kind, isChangeable, connections);
    steps.push(step);
    // The first of these is not believed when bytes are here: it is asked once more.
    if (kind === 'no-entry' || kind === 'gone') steps.push(step);
    // A body that ends with its connection was cut, and nothing shows it: the next answer about the file must be one that tells how long it is.
    if (step.framing === 'close' && step.cut?.how === 'fin') {
      if (choices.chance(0.5)) steps.push({ ...stepOf(choices, server, choices.pick(UNHELPFUL), false, connections), cut: { at: choices.next(), how: 'rst' } });
      steps.push({ ...stepOf(choices, server, 'plain', isChangeable, connections), cut: { at: choices.next(), how: 'rst' } });
    }
  }
  return { seed, server, size, connections, steps, hasDigest: choices.chance(0.2), hasSecret: choices.chance(0.3), kills: killsOf(choices, steps.length, size) };
}

/** Mostly more than what is fetched a second time before a join, so that there is something to join. */
function sizeOf(choices: Choices): number {
  if (choices.chance(0.2)) return choices.chance(0.25) ? choices.int(0, 2) : choices.magnitude(3, 100_000);
  return choices.magnitude(100_000, choices.chance(0.05) ? 4_000_000 : 700_000);
}

function serverOf(choices: Choices): ServerKind {
  const usual = <T>(probability: number, value: T, others: readonly T[]): T => (choices.chance(probability) ? value : choices.pick(others));
  return {
    tls: choices.chance(1 / 8),
    validators: usual<ServerKind['validators']>(0.5, 'etag', ['etag+date', 'date', 'recent-date', 'weak', 'weak+date', 'doubled', 'none']),
    ranges: usual<ServerKind['ranges']>(0.8, 'honour', ['ignore', 'not-with-if-range']),
    framing: usual<Framing>(0.6, 'length', ['chunked', 'close', 'http10']),
    total: usual<ServerKind['total']>(0.93, 'told', ['star']),
  };
}

function stepOf(choices: Choices, server: ServerKind, kind: FaultKind, isChangeable: boolean, connections: number): Step {
  const framing = choices.chance(0.6) ? server.framing : choices.pick(['length', 'chunked', 'close', 'http10'] as const);
  const cut = choices.chance(0.85) ? cutOf(choices) : null;
  // Without a length and without ranges nobody can tell a whole body from one that was cut.
  const isUndecidable = framing === 'close' && cut?.how === 'fin' && (server.ranges === 'ignore' || kind !== 'plain');
  return {
    kind,
    framing,
    cut: isUndecidable ? { ...cut, how: 'rst' } : cut,
    bytesPerSecond: choices.chance(0.4) ? choices.magnitude(400_000 * connections, 8_000_000) : Number.POSITIVE_INFINITY,
    change: isChangeable && choices.chance(0.25) ? choices.pick(['announced', 'announced', 'silent'] as const) : null,
    choice: choices.next(),
  };
}

function cutOf(choices: Choices): Cut {
  const at = choices.chance(0.15) ? choices.pick([0, 1, 2, -1, -2]) : choices.next();
  return { at, how: choices.chance(0.12) ? choices.pick(['stall', 'trickle'] as const) : choices.pick(['fin', 'rst'] as const) };
}

function killsOf(choices: Choices, steps: number, size: number): readonly Kill[] {
  // A kill costs the start of a worker, and meets all downloads of the session.
  if (!choices.chance(0.35)) return [];
  return [
    {
      request: choices.int(1, steps + 1),
      afterBytes: choices.chance(0.3) ? 0 : Math.floor(choices.next() * size),
      delayMs: choices.chance(0.5) ? 0 : choices.int(1, 40),
    },
  ];
}
