import { figuresOf, median, medianRatio, type Result } from './turns.js';
import type { Column, Work } from './work.js';

type Shown = [head: string, cell: (result: Result) => string];

/** A work's results as a section of Markdown: medians, and medians of the ratios to the baseline within a round. */
export function section({ title, about, columns, baseline }: Work, results: readonly Result[]): string {
  const base = results.find(({ name }) => name === baseline);
  const shown = columns.flatMap((column): Shown[] => [
    [column.title, (result) => middle(result, column)],
    ...(column.ratio === undefined ? [] : [[`${column.title}: ${column.ratio.replace('baseline', baseline)}`, (result) => multiple(result, base, column)] satisfies Shown]),
  ]);
  return [
    ...heading(title, about),
    ...table(
      ['', ...shown.map(([head]) => head), 'runs'],
      results.map((result) => [`\`${result.name}\``, ...shown.map(([, cell]) => cell(result)), runs(result)]),
    ),
    '',
  ].join('\n');
}

/** A work that could not be measured here. */
export function unmeasured({ title, about }: Work, why: string): string {
  return [...heading(title, about), `Not measured: ${why}`, ''].join('\n');
}

function heading(title: string, about: readonly string[]): string[] {
  return [`## ${title}`, '', ...(about.length === 0 ? [] : [about.join(' '), ''])];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** The median; of more than two runs the least and the most too. */
function middle(result: Result, { key, digits = 2 }: Column): string {
  const values = figuresOf(result, key);
  const value = median(values);
  if (value === null) return '–';
  const span = values.length > 2 ? ` (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})` : '';
  return value.toFixed(digits) + span;
}

function multiple(result: Result, base: Result | undefined, { key, ratio }: Column): string {
  if (base === undefined || result === base) return '';
  const value = ratio === 'this ÷ baseline' ? medianRatio(result, base, key) : medianRatio(base, result, key);
  return value === null ? '–' : String(Number(value.toPrecision(3)));
}

/** How many went right, and what the others died of. */
function runs({ missing, outcomes }: Result): string {
  if (missing !== null) return missing;
  const reasons = new Set(outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.why] : [])));
  const right = outcomes.filter(({ kind }) => kind === 'right').length;
  const words = [...reasons].map((why) => why.replaceAll('|', '\\|').slice(0, 120)).join('; ');
  return right === outcomes.length ? String(right) : `${right} of ${outcomes.length}: **${words}**`;
}
