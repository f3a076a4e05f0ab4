import type { ReasonCode, TaskConditions, When } from './task.js';

export type Answer = 'yes' | 'no' | 'unknown';

/** What one probe found. */
export interface Reading {
  readonly value: Answer;
  /** For people: `on battery (63 %)`, `last input 12 s ago`. */
  readonly detail: string;
  /** Where it comes from: `/sys/class/power_supply/AC0`, `POSTE_PROBE_FILE`, `terminal access times`. */
  readonly source: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The answers to: on AC power? idle? on a metered network? in a power-saving mode? online? */
export interface InputReadings {
  readonly ac: Reading;
  readonly idle: Reading;
  readonly metered: Reading;
  readonly lowPower: Reading;
  readonly online: Reading;
}

export type Input = keyof InputReadings;

export interface Readings extends InputReadings {
  /** Does `--only-if` allow it; `null` when the task has no such condition. */
  readonly onlyIf: Reading | null;
}

/** A machine is idle after so many seconds without input. */
const IDLE_AFTER_SECONDS = 240;

/** The idle answer that follows from a time without input. */
export function idleAnswer(idleSeconds: number): Answer {
  return idleSeconds >= IDLE_AFTER_SECONDS ? 'yes' : 'no';
}

/** Which inputs a verdict over `conditions` looks at; the others need not be read. */
export function inputsOf({ when, unmetered }: TaskConditions): ReadonlySet<Input> {
  const inputs = new Set<Input>(['online']);
  if (usesPower(when)) inputs.add('ac');
  if (usesIdle(when)) inputs.add('idle');
  if (when !== null) inputs.add('lowPower');
  if (unmetered) inputs.add('metered');
  return inputs;
}

/** One condition of a task beside what is the case, for `status --explain`. */
export interface ExplainedCondition {
  readonly condition: keyof typeof CODE;
  /** The answer to the condition's name: on AC? idle? in low-power mode? metered? online? */
  readonly value: Answer;
  readonly detail: string;
  readonly source: string;
  readonly ageSeconds: number;
  /** What `value`, or the number behind it, must be. */
  readonly threshold: string;
  readonly met: boolean;
}

const CODE = {
  ac: 'power',
  idle: 'idle',
  'low-power': 'low-power',
  metered: 'metered',
  online: 'offline',
  'only-if': 'only-if',
  'not-before': 'not-before',
} as const satisfies Record<string, ReasonCode>;

/** Each condition that `conditions` holds, and being online. Unknown counts as met, and `detail` says so. */
export function explainConditions(conditions: TaskConditions, readings: Readings, now: number): ExplainedCondition[] {
  const { when, unmetered, onlyIf, notBefore } = conditions;
  const explained: ExplainedCondition[] = [];
  const add = (condition: keyof typeof CODE, { value, detail, source, at }: Reading, wanted: Answer, threshold: string): void => {
    explained.push({
      condition,
      value,
      detail: value === 'unknown' ? `${detail}; unknown counts as met` : detail,
      source,
      ageSeconds: Math.max(0, now - at) / 1000,
      threshold,
      met: value === 'unknown' || value === wanted,
    });
  };
  if (usesPower(when)) add('ac', readings.ac, 'yes', 'yes');
  if (usesIdle(when)) add('idle', readings.idle, 'yes', `${IDLE_AFTER_SECONDS} s without input`);
  // As on a phone: work that can wait does not run while people save power, whatever it is that they save.
  if (when !== null) add('low-power', readings.lowPower, 'no', 'no');
  if (unmetered) add('metered', readings.metered, 'no', 'no');
  if (onlyIf !== null) add('only-if', readings.onlyIf ?? notRun(now), 'yes', 'exit 0');
  if (notBefore !== null) {
    const value = now >= notBefore ? 'yes' : 'no';
    add('not-before', { value, detail: value === 'yes' ? 'passed' : 'not yet', source: 'clock', at: now }, 'yes', isoTime(notBefore));
  }
  add('online', readings.online, 'yes', 'yes');
  return explained;
}

export interface ConditionWords {
  readonly code: ReasonCode;
  readonly message: string;
}

/** What holds at this instant; {@link nextGate} says whether it has held for long enough. */
export interface ConditionVerdict {
  readonly met: boolean;
  readonly unmet: readonly ConditionWords[];
  /**
   * Of the conditions that must last for the hold time before they count (all but the network and `--not-before`):
   * whether they are met, and in words what is; `null` when the task has none of these.
   */
  readonly held: { readonly met: boolean; readonly words: ConditionWords } | null;
}

/** The conditions that last only by moments, so that reacting at once would start and stop a transfer all day. */
const HELD: ReadonlySet<ReasonCode> = new Set(['power', 'idle', 'low-power', 'metered', 'only-if']);

/** Pure: `conditions` judged by `readings` at `now` (epoch milliseconds), without hysteresis. Unknown counts as met. */
export function judgeConditions(conditions: TaskConditions, readings: Readings, now: number): ConditionVerdict {
  const explained = explainConditions(conditions, readings, now);
  const oneIsEnough = conditions.when === 'ac-or-idle' && explained.some((line) => isAcOrIdle(line) && line.met);
  const unmet = explained
    .filter((line) => !line.met && !(oneIsEnough && isAcOrIdle(line)))
    .map((line) => ({ code: CODE[line.condition], message: unmetWords(line, conditions.when) }));
  const held = explained.filter(({ condition }) => HELD.has(CODE[condition]));
  const shown = held.find(({ met }) => met) ?? held[0];
  return {
    met: unmet.length === 0,
    unmet,
    held:
      shown === undefined
        ? null
        : { met: !unmet.some(({ code }) => HELD.has(code)), words: { code: CODE[shown.condition], message: metWords(shown) } },
  };
}

function usesPower(when: When | null): boolean {
  return when === 'ac' || when === 'ac-or-idle' || when === 'ac-and-idle';
}

function usesIdle(when: When | null): boolean {
  return when === 'idle' || when === 'ac-or-idle' || when === 'ac-and-idle';
}

function isAcOrIdle({ condition }: ExplainedCondition): boolean {
  return condition === 'ac' || condition === 'idle';
}

/** A command that was asked for and has not been run allows nothing. */
function notRun(now: number): Reading {
  return { value: 'no', detail: 'the --only-if command was not run yet', source: '--only-if', at: now };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

/** Without running times and levels, so that the same state is told in the same words. */
function unmetWords({ condition, detail, threshold }: ExplainedCondition, when: When | null): string {
  switch (condition) {
    case 'ac':
      return `on battery, waiting for ${when === 'ac-or-idle' ? 'AC power or an idle machine' : 'AC power'}`;
    case 'idle':
      return `the machine is in use, waiting for ${when === 'ac-or-idle' ? 'AC power or ' : ''}${IDLE_AFTER_SECONDS} s without input`;
    case 'low-power':
      return `${detail}, waiting for it to be switched off`;
    case 'metered':
      return `${detail}, waiting for an unmetered network`;
    case 'online':
      return `${detail}, waiting for a network`;
    case 'only-if':
      return `${detail}, waiting for it to exit with 0`;
    case 'not-before':
      return `not before ${threshold}`;
  }
}

function metWords({ condition, value, detail }: ExplainedCondition): string {
  if (value === 'unknown') return `${condition}: ${detail}`;
  return condition === 'idle' ? 'the machine is idle' : detail;
}
