import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import { schedule, type Schedule, type ScheduleInput } from '../../src/domain/schedule.js';
import type { Reason, Task } from '../../src/domain/task.js';
import { addedTask, at, CREATED, finished, firstIllegal, foldOf, sessionAfter } from '../support/sessions.js';

const HOUR = 3_600_000;
const OFFLINE: Reason = { code: 'offline', message: 'no network', since: 5, nextCheckAt: 60 };
const BUSY: Reason = { code: 'retry-after', message: 'https://example.org asked to be left alone for a while', since: 20, nextCheckAt: 90 };

function planned(input: Partial<ScheduleInput> & Pick<ScheduleInput, 'session'>): Schedule {
  return schedule({ running: new Set(), conditionReasons: () => [], otherReason: () => null, hostLimit: () => null, isOver: () => false, mostTasks: 1000, now: 50, ...input });
}

const numbers = (tasks: readonly (Task | { task: Task })[]): number[] => tasks.map((entry) => ('task' in entry ? entry.task.number : entry.number));

const backoff = (task: number, since: number, nextCheckAt: number): EventBody => ({
  type: 'task.waiting',
  task,
  reasons: [{ code: 'backoff', message: 'the connection broke', since, nextCheckAt }],
});

describe('what the worker does next', () => {
  it('starts as many as there are jobs: high priority first, then in the order added', () => {
    const session = sessionAfter(CREATED, addedTask(1, { priority: 'low' }), addedTask(2), addedTask(3, { priority: 'high' }), addedTask(4), addedTask(5));
    expect(numbers(planned({ session }).start)).toEqual([3, 2, 4]);
    expect(numbers(planned({ session, running: new Set([2, 4]) }).start)).toEqual([3]);
  });

  it('tells what else is ready, and looks at that alone when it is asked to', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2), addedTask(3), addedTask(4, { priority: 'high' }), addedTask(5), addedTask(6, {}, true));
    const plan = planned({ session });
    expect([numbers(plan.start), numbers(plan.ready)]).toEqual([[4, 1, 2], [3, 5]]);
    expect(numbers(planned({ session, running: new Set([4, 1]), tasks: plan.ready }).start)).toEqual([3]);
  });

  it('a task whose bytes are all here takes the place of no other', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2), addedTask(3), addedTask(4), addedTask(5));
    const hostLimit = () => ({ origin: 'https://example.org', whose: 'server' as const, most: 1, until: 60 });
    const running = new Set([1, 2]);
    expect(numbers(planned({ session, running, putAway: running }).start)).toEqual([3, 4, 5]);
    expect(numbers(planned({ session, running, putAway: running, hostLimit }).start)).toEqual([3]);
  });

  it('stops those that are too many when jobs are lowered, the last ones first', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2), addedTask(3, { priority: 'high' }), { type: 'session.changed', settings: { jobs: 2 } });
    const plan = planned({ session, running: new Set([1, 2, 3]) });
    expect(plan.stop.map(({ task, reasons }) => [task.number, reasons[0]?.code])).toEqual([[2, 'jobs-limit']]);
    expect(planned({ session, running: new Set([1, 2, 3]), putAway: new Set([1]) }).stop).toEqual([]);
  });

  it('tells of a full server those whose turn it would be, and not the queue behind them', () => {
    const session = sessionAfter(CREATED, ...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => addedTask(number)));
    const hostLimit = () => ({ origin: 'https://example.org', whose: 'shared' as const, most: 1, until: 60 });
    const plan = planned({ session, hostLimit });
    expect([numbers(plan.start), plan.wait.map(({ task }) => task.number), numbers(plan.ready), plan.free]).toEqual([[1], [2, 3], [2, 3, 4, 5, 6, 7, 8], 2]);
    expect(plan.wait[0]?.reasons).toMatchObject([{ code: 'host-limit', message: expect.stringMatching(/^other sessions download from https:\/\/example\.org/) as string }]);
  });

  it('of a limit of its own it does not say that other sessions have a part in it', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2));
    const plan = planned({ session, hostLimit: () => ({ origin: 'https://example.org', whose: 'budget', most: 1, until: 60 }) });
    expect(plan.wait[0]?.reasons).toMatchObject([{ code: 'host-limit', message: 'https://example.org is asked for no more than 1 files at once' }]);
  });

  it('leaves alone what is paused, settled, or waits for a person', () => {
    const needsUrl: EventBody = { type: 'task.waiting', task: 2, reasons: [{ code: 'needs-url', message: 'm', since: 0, nextCheckAt: null }] };
    const session = sessionAfter(CREATED, addedTask(1, {}, true), addedTask(2), needsUrl, addedTask(3), ...finished(3));
    expect(planned({ session })).toEqual({ start: [], ready: [], free: 3, stop: [], wait: [], giveUp: [], nextAt: null });
  });

  it('waits for a back-off, and looks again when it ends', () => {
    const session = sessionAfter(CREATED, addedTask(1), backoff(1, 2, 80));
    expect(planned({ session })).toMatchObject({ start: [], wait: [], nextAt: 80 });
    expect(numbers(planned({ session, now: 80 }).start)).toEqual([1]);
  });

  it('#44 does not wait for a back-off from the future: the clock was set back', () => {
    const session = sessionAfter(CREATED, addedTask(1), backoff(1, 24 * HOUR, 24 * HOUR + 1000));
    expect(numbers(planned({ session }).start)).toEqual([1]);
  });

  it('stops a transfer whose conditions are lost, and not one whose server is busy', () => {
    const session = sessionAfter(CREATED, addedTask(1), { type: 'task.started', task: 1, attempt: 1, offset: 0 });
    const running = new Set([1]);
    expect(planned({ session, running, conditionReasons: () => [OFFLINE] }).stop).toMatchObject([{ task: { number: 1 }, reasons: [OFFLINE] }]);
    expect(planned({ session, running, otherReason: () => BUSY })).toMatchObject({ stop: [], wait: [] });
  });

  it('does nothing about a task whose conditions were not looked at yet', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2));
    const plan = planned({ session, conditionReasons: ({ number }) => (number === 1 ? null : []) });
    expect([numbers(plan.start), numbers(plan.wait)]).toEqual([[2], []]);
  });

  it('ignores the conditions of a task that was resumed with --now', () => {
    const session = sessionAfter(CREATED, addedTask(1), { type: 'task.resumed', task: 1, now: true });
    expect(numbers(planned({ session, conditionReasons: () => [OFFLINE] }).start)).toEqual([1]);
  });

  it('gives up in time, whether it runs or waits, and never while it is paused', () => {
    const session = sessionAfter(CREATED, addedTask(1, { giveUpAfterMs: 10 }), addedTask(2, { giveUpAfterMs: 10 }, true), addedTask(3, { giveUpAfterMs: HOUR }));
    expect(numbers(planned({ session, running: new Set([1]) }).giveUp)).toEqual([1]);
    expect(planned({ session, now: 3 })).toMatchObject({ giveUp: [], nextAt: 12 });
  });

  it.each([
    ['retried', [{ type: 'task.failed', task: 1, error: { code: 'gave-up', message: 'm', exitCode: 5, transient: false } }, { type: 'task.retried', task: 1 }]],
    ['resumed', [{ type: 'task.paused', task: 1 }, { type: 'task.resumed', task: 1, now: false }]],
  ] as const)('gives a task that is %s after its time was up all of its time again', (_, events) => {
    const fold = foldOf([CREATED, addedTask(1, { giveUpAfterMs: 10 })]);
    events.forEach((body, index) => {
      fold.apply(at(body, 3 + index, 1000 + index));
    });
    const { session } = fold;
    if (session === null) throw new Error('no session');
    expect(planned({ session, now: 1005 })).toMatchObject({ giveUp: [], start: [{ number: 1 }] });
    expect(numbers(planned({ session, now: 1011 }).giveUp)).toEqual([1]);
  });

  it('plans 200 000 waiting tasks', () => {
    const { session } = foldOf([CREATED, ...Array.from({ length: 200_000 }, (_, index) => addedTask(index + 1))]);
    if (session === null) throw new Error('no session');
    expect(planned({ session, conditionReasons: () => [OFFLINE] })).toMatchObject({ nextAt: 60 });
  });
});

describe('reasons for waiting', () => {
  it('are told once, whatever the next look says', () => {
    const fold = foldOf([CREATED, addedTask(1)]);
    const told: (readonly Reason[])[] = [];
    for (let now = 50; now < 60; now += 1) {
      const { session } = fold;
      if (session === null) throw new Error('no session');
      const plan = planned({ session, now, conditionReasons: () => [{ ...OFFLINE, since: now, nextCheckAt: now + 5 }] });
      for (const { task, reasons } of plan.wait) {
        told.push(reasons);
        firstIllegal(fold, [{ type: 'task.waiting', task: task.number, reasons }]);
      }
    }
    expect(told).toHaveLength(1);
  });

  it('of a full disk are told once, however much is free just now', () => {
    const full = (free: number): Reason => ({ code: 'disk-full', message: `${free} MiB are free`, since: 40, nextCheckAt: null });
    const session = sessionAfter(CREATED, addedTask(1), { type: 'task.waiting', task: 1, reasons: [full(7)] });
    expect(planned({ session, otherReason: () => full(8) })).toMatchObject({ start: [], wait: [] });
  });

  it('keep the time since when they hold', () => {
    const session = sessionAfter(CREATED, addedTask(1), { type: 'task.waiting', task: 1, reasons: [OFFLINE] });
    const [wait] = planned({ session, conditionReasons: () => [{ ...OFFLINE, message: 'other words', since: 40 }] }).wait;
    expect(wait?.reasons).toMatchObject([{ message: 'other words', since: 5 }]);
  });

  it('that are over give way to the one that is left: no place', () => {
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2), { type: 'task.waiting', task: 2, reasons: [OFFLINE] }, addedTask(3));
    const running = new Set([1]);
    expect(planned({ session, running, mostTasks: 1 }).wait).toMatchObject([{ task: { number: 2 }, reasons: [{ code: 'jobs-limit', since: 50 }] }]);
    const told = sessionAfter(CREATED, addedTask(1), addedTask(2), { type: 'task.waiting', task: 2, reasons: planned({ session, running, mostTasks: 1 }).wait[0]?.reasons ?? [] });
    expect(planned({ session: told, running, mostTasks: 1, now: 60 })).toMatchObject({ wait: [], ready: [{ number: 2 }] });
  });

  it('that a server is full stands as long as it is, whether there is a place or not', () => {
    const hostLimit = () => ({ origin: 'https://example.org', whose: 'server' as const, most: 1, until: 60 });
    const session = sessionAfter(CREATED, addedTask(1), addedTask(2));
    const [full] = planned({ session, running: new Set([1]), hostLimit }).wait;
    const told = sessionAfter(CREATED, addedTask(1), addedTask(2), { type: 'task.waiting', task: 2, reasons: full?.reasons ?? [] });
    expect(planned({ session: told, running: new Set([1]), hostLimit, mostTasks: 1 }).wait).toEqual([]);
  });

  it('settle: a plan that was carried out leaves nothing more to be told', () => {
    const reason = (...codes: readonly Reason['code'][]): fc.Arbitrary<Reason> =>
      fc.record({
        code: fc.constantFrom(...codes),
        message: fc.constantFrom('m', 'n'),
        since: fc.nat({ max: 60 }),
        nextCheckAt: fc.option(fc.integer({ min: 30, max: 99 })),
      });
    const known = fc.array(reason('backoff', 'retry-after', 'disk-full', 'offline'), { maxLength: 3 });
    const unmet = fc.uniqueArray(reason('offline', 'power'), { selector: ({ code }) => code, maxLength: 2 });
    fc.assert(
      fc.property(known, unmet, fc.option(reason('retry-after')), (told, reasons, host) => {
        const fold = foldOf([CREATED, addedTask(1), { type: 'task.waiting', task: 1, reasons: told }]);
        const plan = (): Schedule => {
          const { session } = fold;
          if (session === null) throw new Error('no session');
          return planned({ session, conditionReasons: () => reasons, otherReason: () => host });
        };
        // Twice: a back-off that the first look dropped for another reason is told no more.
        for (let look = 0; look < 2; look += 1) {
          for (const wait of plan().wait) firstIllegal(fold, [{ type: 'task.waiting', task: 1, reasons: wait.reasons }]);
        }
        expect(plan().wait).toEqual([]);
      }),
    );
  });
});
