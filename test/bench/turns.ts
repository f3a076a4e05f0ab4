import { setTimeout as delay } from 'node:timers/promises';

/** How often each is measured. */
export const ROUNDS = Math.max(1, Number(process.env['ROUNDS'] ?? '5'));
/** How much of the data is used: `SCALE=0.25` makes the files a quarter as long. What is so many *times* something stays. */
export const SCALE = Number(process.env['SCALE'] ?? '1');

/** Seconds, bytes, …: by the key of the column that shows it. */
export type Figures = Readonly<Record<string, number>>;

/** Bytes that the server had sent by then, milliseconds. */
export type Trace = readonly (readonly [ms: number, bytes: number])[];

export type Outcome =
  | { readonly kind: 'right'; readonly figures: Figures; readonly trace?: Trace }
  /** It ended with an error, did not end, or its file is wrong. There is no time then. */
  | { readonly kind: 'failed'; readonly why: string };

/** One of those that are measured in turn. */
export interface Contender {
  readonly name: string;
  /** Why it cannot be measured here, or `null`. */
  readonly missing: string | null;
  readonly run: () => Promise<Outcome>;
}

/** What became of a contender, in every round. */
export interface Result {
  readonly name: string;
  readonly missing: string | null;
  readonly outcomes: readonly Outcome[];
}

/** Runs each once, then each once more, …: what the machine does meanwhile meets all of them. Says on standard error how far it is. */
export async function inTurn(work: string, contenders: readonly Contender[], rounds = ROUNDS): Promise<Result[]> {
  const results = contenders.map(({ name, missing }) => ({ name, missing, outcomes: [] as Outcome[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [n, { name, missing, run }] of contenders.entries()) {
      if (missing !== null) continue;
      const outcome = await run().catch((error: unknown): Outcome => ({ kind: 'failed', why: `not measured: ${String(error)}` }));
      results[n]?.outcomes.push(outcome);
      const words = outcome.kind === 'failed' ? outcome.why : Object.entries(outcome.figures).map(([key, value]) => `${key} ${value.toPrecision(4)}`).join(', ');
      process.stderr.write(`${work} ${round}/${rounds}  ${name}: ${words}\n`);
    }
  }
  return results;
}

/** The middle one; between two, their mean. `null` of none. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/** One figure of the rounds that went right. */
export function figuresOf({ outcomes }: Result, key: string): number[] {
  return outcomes.flatMap((outcome) => (outcome.kind === 'right' ? (outcome.figures[key] ?? []) : []));
}

/** The median of the ratios, each within a round: both met the same machine. `null` where no round has both. */
export function medianRatio(above: Result, below: Result, key: string): number | null {
  return median(
    above.outcomes.flatMap((outcome, round) => {
      const other = below.outcomes[round];
      if (outcome.kind !== 'right' || other?.kind !== 'right') return [];
      const [a, b] = [outcome.figures[key], other.figures[key]];
      return a === undefined || b === undefined || b === 0 ? [] : [a / b];
    }),
  );
}

/** Reads a counter ten times a second until told to stop. */
export function follow(counter: () => number): { stop(): Promise<Trace> } {
  const [startedAt, before] = [performance.now(), counter()];
  const trace: [number, number][] = [[0, 0]];
  const end = new AbortController();
  const look = (): number => trace.push([performance.now() - startedAt, counter() - before]);
  const looked = (async () => {
    while (!end.signal.aborted) {
      await delay(100, undefined, { signal: end.signal }).catch(() => undefined);
      look();
    }
  })();
  return {
    stop: async () => {
      end.abort();
      await looked;
      return trace;
    },
  };
}
