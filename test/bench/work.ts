import type { Chart } from './chart.js';
import type { Result, Trace } from './turns.js';

/** One thing that is measured: of whom, how, and what is shown of it. */
export interface Work {
  /** What it is called by on the command line. */
  readonly name: string;
  readonly title: string;
  /** What the reader must know to believe the figures. */
  readonly about: readonly string[];
  readonly columns: readonly Column[];
  /** The name of the contender that the others are compared to. */
  readonly baseline: string;
  /** Rejects with the reason when it cannot be measured here at all. */
  readonly run: () => Promise<readonly Result[]>;
  readonly chart?: (results: readonly Result[]) => Chart;
}

export interface Column {
  /** Of the figures. */
  readonly key: string;
  readonly title: string;
  /** Shown after the decimal point; default 2. */
  readonly digits?: number;
  /** What else is shown: the median of this ratio. */
  readonly ratio?: 'this ÷ baseline' | 'baseline ÷ this';
}

/** What every download shows. */
export const DOWNLOAD: readonly Column[] = [
  { key: 'seconds', title: 's', ratio: 'baseline ÷ this' },
  { key: 'rate', title: 'MB/s', digits: 0 },
  { key: 'cpu', title: 'CPU s', ratio: 'baseline ÷ this' },
];

/** MB/s over time of each one's first run that went right. */
export function throughput(title: string): (results: readonly Result[]) => Chart {
  return (results) => ({
    title,
    x: 'seconds since the command was typed',
    y: 'MB/s sent by the server',
    series: results.flatMap(({ name, outcomes }) => {
      const trace = firstTrace(outcomes);
      return trace === undefined ? [] : [{ name, points: rates(trace) }];
    }),
  });
}

function firstTrace(outcomes: Result['outcomes']): Trace | undefined {
  for (const outcome of outcomes) if (outcome.kind === 'right' && outcome.trace !== undefined) return outcome.trace;
  return undefined;
}

/** Over at least 200 ms each, and a hundredth of the whole. */
function rates(trace: Trace): [number, number][] {
  const points: [number, number][] = [];
  const [end] = trace.at(-1) ?? [0];
  let [fromMs, fromBytes] = [0, 0];
  for (const [ms, bytes] of trace) {
    if (ms - fromMs < Math.max(200, end / 100)) continue;
    points.push([(fromMs + ms) / 2000, (bytes - fromBytes) / 1000 / (ms - fromMs)]);
    [fromMs, fromBytes] = [ms, bytes];
  }
  return points;
}
