import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  explainConditions,
  idleAnswer,
  inputsOf,
  judgeConditions,
  type Answer,
  type Reading,
  type Readings,
} from '../../src/domain/conditions.js';
import { relaxWhen } from '../../src/domain/relax-when.js';
import type { TaskConditions, When } from '../../src/domain/task.js';

const NOW = Date.parse('2025-03-01T12:00:00Z');
const NONE: TaskConditions = { when: null, onlyIf: null, unmetered: false, notBefore: null, by: null };
const WORDS = {
  ac: { yes: 'on AC power', no: 'on battery (63 %)', unknown: 'nobody knows' },
  idle: { yes: 'last input 300 s ago', no: 'last input 12 s ago', unknown: 'nobody knows' },
  metered: { yes: 'the network is metered', no: 'the network is unmetered', unknown: 'nobody knows' },
  lowPower: { yes: 'power saving is on', no: 'power saving is off', unknown: 'nobody knows' },
  online: { yes: 'online', no: 'offline', unknown: 'nobody knows' },
} as const;

function read(answers: Partial<Record<keyof typeof WORDS | 'onlyIf', Answer>>): Readings {
  const reading = (input: keyof typeof WORDS): Reading => {
    const value = answers[input] ?? 'unknown';
    return { value, detail: WORDS[input][value], source: 'a test', at: NOW - 2500 };
  };
  return {
    ac: reading('ac'),
    idle: reading('idle'),
    metered: reading('metered'),
    lowPower: reading('lowPower'),
    online: reading('online'),
    onlyIf: answers.onlyIf === undefined ? null : { value: answers.onlyIf, detail: 'the command exited with 1', source: 'a test', at: NOW },
  };
}

function codes(conditions: Partial<TaskConditions>, answers: Parameters<typeof read>[0]): string {
  return judgeConditions({ ...NONE, ...conditions }, read(answers), NOW)
    .unmet.map(({ code }) => code)
    .join(' ');
}

describe('a task runs when its conditions are met', () => {
  it.each<[When, Answer, Answer, unmet: string]>([
    ['ac-or-idle', 'yes', 'yes', ''],
    ['ac-or-idle', 'yes', 'no', ''],
    ['ac-or-idle', 'no', 'yes', ''],
    ['ac-or-idle', 'no', 'no', 'power idle'],
    ['ac-or-idle', 'no', 'unknown', ''],
    ['ac-or-idle', 'unknown', 'no', ''],
    ['ac', 'yes', 'no', ''],
    ['ac', 'no', 'yes', 'power'],
    ['ac', 'unknown', 'no', ''],
    ['idle', 'no', 'yes', ''],
    ['idle', 'yes', 'no', 'idle'],
    ['idle', 'no', 'unknown', ''],
    ['ac-and-idle', 'yes', 'yes', ''],
    ['ac-and-idle', 'no', 'yes', 'power'],
    ['ac-and-idle', 'yes', 'no', 'idle'],
    ['ac-and-idle', 'no', 'no', 'power idle'],
    ['ac-and-idle', 'unknown', 'unknown', ''],
  ])('--when %s, AC %s, idle %s: unmet "%s"', (when, ac, idle, unmet) => {
    expect(codes({ when }, { ac, idle })).toBe(unmet);
  });

  it.each<[string, Partial<TaskConditions>, Parameters<typeof read>[0], unmet: string]>([
    ['a plain task does not care about power', {}, { ac: 'no', idle: 'no', metered: 'yes', lowPower: 'yes' }, ''],
    ['a plain task waits for a network', {}, { online: 'no' }, 'offline'],
    ['unmetered: on a metered network', { unmetered: true }, { metered: 'yes' }, 'metered'],
    ['unmetered: on another', { unmetered: true }, { metered: 'no' }, ''],
    ['unmetered: not known', { unmetered: true }, {}, ''],
    ['discretionary, while power is being saved', { when: 'ac-or-idle' }, { ac: 'yes', lowPower: 'yes' }, 'low-power'],
    ['only-if says no', { onlyIf: 'false' }, { onlyIf: 'no' }, 'only-if'],
    ['only-if says yes', { onlyIf: 'true' }, { onlyIf: 'yes' }, ''],
    ['only-if was not run', { onlyIf: 'true' }, {}, 'only-if'],
    ['not before, a moment early', { notBefore: NOW + 1 }, {}, 'not-before'],
    ['not before, on time', { notBefore: NOW }, {}, ''],
  ])('%s', (_name, conditions, answers, unmet) => {
    expect(codes(conditions, answers)).toBe(unmet);
  });

  it('whatever is asked, nothing known keeps a task only from what it must prove', () => {
    const anyConditions = fc.record({
      when: fc.constantFrom<When | null>(null, 'ac', 'idle', 'ac-or-idle', 'ac-and-idle'),
      onlyIf: fc.constant(null),
      unmetered: fc.boolean(),
      notBefore: fc.constantFrom(null, NOW - 1),
      by: fc.constant(null),
    });
    fc.assert(
      fc.property(anyConditions, (conditions) => {
        expect(judgeConditions(conditions, read({}), NOW).met).toBe(true);
      }),
    );
  });

  it('inputs that no condition needs do not change the verdict, so they need not be read', () => {
    const answer = fc.constantFrom<Answer>('yes', 'no', 'unknown');
    const answers = fc.record({ ac: answer, idle: answer, metered: answer, lowPower: answer, online: answer });
    const when = fc.constantFrom<When | null>(null, 'ac', 'idle', 'ac-or-idle', 'ac-and-idle');
    fc.assert(
      fc.property(when, fc.boolean(), answers, (asked, unmetered, all) => {
        const conditions = { ...NONE, when: asked, unmetered };
        const needed = Object.fromEntries(Object.entries(all).filter(([input]) => [...inputsOf(conditions)].some((one) => one === input)));
        expect(judgeConditions(conditions, read(needed), NOW)).toEqual(judgeConditions(conditions, read(all), NOW));
      }),
    );
  });
});

describe('a waiting task says why', () => {
  it('names what it waits for, and what would let it run', () => {
    const messages = (when: When): string[] =>
      judgeConditions({ ...NONE, when }, read({ ac: 'no', idle: 'no' }), NOW).unmet.map(({ message }) => message);
    expect(messages('ac-or-idle')).toEqual([
      'on battery, waiting for AC power or an idle machine',
      'the machine is in use, waiting for AC power or 240 s without input',
    ]);
    expect(messages('ac-and-idle')).toEqual([
      'on battery, waiting for AC power',
      'the machine is in use, waiting for 240 s without input',
    ]);
  });

  it('only conditions that come and go are held; the network and --not-before count at once', () => {
    const held = (conditions: Partial<TaskConditions>, answers: Parameters<typeof read>[0]): boolean | null =>
      judgeConditions({ ...NONE, ...conditions }, read(answers), NOW).held?.met ?? null;
    expect(held({ notBefore: NOW + 1 }, { online: 'no' })).toBeNull();
    expect(held({ when: 'ac', notBefore: NOW + 1 }, { ac: 'yes', online: 'no' })).toBe(true);
    expect(held({ when: 'ac' }, { ac: 'no' })).toBe(false);
  });
});

describe('--explain', () => {
  it('shows each condition with value, source, age and threshold', () => {
    const conditions: TaskConditions = { when: 'ac-or-idle', onlyIf: 'false', unmetered: true, notBefore: NOW + 1000, by: null };
    const lines = explainConditions(conditions, read({ ac: 'no', idle: 'no', onlyIf: 'no' }), NOW);
    const known = { source: 'a test', ageSeconds: 2.5 };
    const exited = { detail: 'the command exited with 1', source: 'a test', ageSeconds: 0 };
    expect(lines).toEqual([
      { condition: 'ac', value: 'no', detail: 'on battery (63 %)', ...known, threshold: 'yes', met: false },
      { condition: 'idle', value: 'no', detail: 'last input 12 s ago', ...known, threshold: '240 s without input', met: false },
      { condition: 'low-power', value: 'unknown', detail: 'nobody knows; unknown counts as met', ...known, threshold: 'no', met: true },
      { condition: 'metered', value: 'unknown', detail: 'nobody knows; unknown counts as met', ...known, threshold: 'no', met: true },
      { condition: 'only-if', value: 'no', ...exited, threshold: 'exit 0', met: false },
      {
        condition: 'not-before',
        value: 'no',
        detail: 'not yet',
        source: 'clock',
        ageSeconds: 0,
        threshold: '2025-03-01T12:00:01.000Z',
        met: false,
      },
      { condition: 'online', value: 'unknown', detail: 'nobody knows; unknown counts as met', ...known, threshold: 'yes', met: true },
    ]);
  });
});

describe('idle', () => {
  it('begins 4 minutes after the last input', () => {
    expect([0, 239.9, 240, 1e9].map(idleAnswer)).toEqual(['no', 'no', 'yes', 'yes']);
  });
});

describe('conditions relax as --by nears', () => {
  it.each<[When, early: When | null, late: When | null]>([
    ['idle', 'idle', null],
    ['ac-and-idle', 'ac-and-idle', 'ac'],
    ['ac', 'ac', 'ac'],
    ['ac-or-idle', 'ac-or-idle', 'ac-or-idle'],
  ])('%s: %s before three quarters, %s after, nothing at the end', (when, early, late) => {
    const at = (now: number): When | null => relaxWhen(when, { createdAt: 0, by: 100, now });
    expect([at(0), at(74), at(75), at(99), at(100), at(200)]).toEqual([early, early, late, late, null, null]);
  });
});
