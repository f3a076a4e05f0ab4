import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS, type EventBody, type SessionEvent } from '../../src/domain/events.js';
import { allSettled, countStates, hookPending, isLegal, isOver, SessionFold, sessionState } from '../../src/domain/session.js';
import type { Session } from '../../src/domain/session.js';
import { isSettled, type Task, type TaskStateKind } from '../../src/domain/task.js';
import { specOf } from '../support/sessions.js';

/** Where a task may go from each state, whatever the event. */
const NEXT: Readonly<Record<TaskStateKind, readonly TaskStateKind[]>> = {
  queued: ['running', 'waiting', 'paused', 'failed', 'cancelled'],
  waiting: ['waiting', 'running', 'paused', 'failed', 'cancelled'],
  running: ['running', 'waiting', 'verifying', 'finished', 'paused', 'failed', 'cancelled'],
  verifying: ['running', 'waiting', 'finished', 'paused', 'failed', 'cancelled'],
  paused: ['queued', 'cancelled'],
  finished: ['claimed', 'expired', 'cancelled'],
  claimed: [],
  failed: ['queued', 'cancelled'],
  cancelled: ['queued'],
  expired: ['queued'],
};

const spec = specOf({ onFinish: 'true', giveUpAfterMs: 1000 });

const settings = { ...DEFAULT_SETTINGS, onComplete: 'true' };
const created: EventBody = { type: 'session.created', id: 's', temp: '/t', cwd: '/', settings };
const error = { code: 'network', message: 'm', exitCode: 6, transient: true } as const;
const reason = { code: 'backoff', message: 'm', since: 0, nextCheckAt: null } as const;
const file = { file: '/t/finished/1/a', size: 1, sha256: '00', length: 'verified' } as const;

const task = fc.integer({ min: 1, max: 2 });
const taskEvent = (body: (task: number) => EventBody): fc.Arbitrary<EventBody> => task.map(body);
/** For what leads to the states that random walks seldom reach. */
const often = (arbitrary: fc.Arbitrary<EventBody>): fc.WeightedArbitrary<EventBody> => ({ arbitrary, weight: 4 });
const hook = { hook: 'finish', eventId: 'e' } as const;

/** Any event, possible or not. */
const anyEvent: fc.Arbitrary<EventBody> = fc.oneof(
  fc.constantFrom<EventBody>(
    created,
    { type: 'session.changed', settings: { retainMs: null } },
    { type: 'session.changed', settings: { onComplete: null } },
    { type: 'session.settled', counts: {} },
    { type: 'session.forgetting', purge: false },
    { type: 'session.forgotten' },
    { type: 'worker.started', pid: 1, version: '1' },
    { type: 'worker.exited', pid: 1, reason: 'done' },
    { type: 'hook.started', hook: 'complete', eventId: 'c', run: 1 },
    { type: 'hook.finished', hook: 'complete', eventId: 'c', ok: true, message: '', retryAt: null },
    { type: 'hook.finished', hook: 'complete', eventId: 'c', ok: false, message: '', retryAt: 5 },
    { type: 'hook.finished', hook: 'complete', eventId: 'c', ok: false, message: '', retryAt: null },
  ),
  fc.nat({ max: 30 }).map((upTo): EventBody => ({ type: 'session.acknowledged', upTo })),
  fc.tuple(task, fc.boolean()).map(([n, paused]): EventBody => ({ type: 'task.added', task: n, request: `r#${n}`, paused, spec })),
  taskEvent((n) => ({ type: 'task.changed', task: n, spec: { label: 'l' } })),
  often(fc.tuple(task, fc.nat({ max: 9 })).map(([n, attempt]): EventBody => ({ type: 'task.started', task: n, attempt, offset: 0 }))),
  taskEvent((n) => ({ type: 'task.answered', task: n, name: 'b', representation: { total: 1, resumable: true, evidence: 'etag' } })),
  taskEvent((n) => ({ type: 'task.waiting', task: n, reasons: [reason] })),
  fc
    .tuple(task, fc.boolean(), fc.boolean())
    .map(([n, progressed, counts]): EventBody => ({ type: 'task.retrying', task: n, error, progressed, counts, reason })),
  taskEvent((n) => ({ type: 'task.restarted', task: n, reason: 'changed', bytesDropped: 1 })),
  taskEvent((n) => ({ type: 'task.verifying', task: n })),
  often(taskEvent((n) => ({ type: 'task.finished', task: n, name: 'b', ...file }))),
  taskEvent((n) => ({ type: 'task.failed', task: n, error })),
  taskEvent((n) => ({ type: 'task.paused', task: n })),
  fc.tuple(task, fc.boolean()).map(([n, now]): EventBody => ({ type: 'task.resumed', task: n, now })),
  taskEvent((n) => ({ type: 'task.retried', task: n })),
  taskEvent((n) => ({ type: 'task.cancelled', task: n })),
  taskEvent((n) => ({ type: 'task.claimed', task: n, path: '/d/a', by: 'claim' })),
  often(taskEvent((n) => ({ type: 'task.expired', task: n }))),
  taskEvent((n) => ({ type: 'hook.started', task: n, run: 1, ...hook })),
  fc
    .tuple(task, fc.boolean(), fc.constantFrom(null, 5))
    .map(([n, ok, retryAt]): EventBody => ({ type: 'hook.finished', task: n, ok, message: '', retryAt, ...hook })),
);

const beginning: readonly EventBody[] = [
  created,
  { type: 'task.added', task: 1, request: 'r#1', paused: false, spec },
  { type: 'task.added', task: 2, request: 'r#2', paused: true, spec: { ...spec, onFinish: null } },
];

/** Rubbish included; one in five does not even begin with a session. */
const anyJournal = fc
  .tuple(fc.integer({ min: 0, max: 4 }), fc.array(anyEvent, { maxLength: 150, size: 'max' }))
  .map(([start, bodies]) => (start === 0 ? bodies : [...beginning, ...bodies]).map((body, index) => at(body, index + 1)));

/** Every event is one that a worker may write where it stands. */
const legalJournal = fc.array(anyEvent, { minLength: 100, maxLength: 300, size: 'max' }).map((bodies) => {
  const events: SessionEvent[] = [];
  const fold = new SessionFold();
  const runningHooks = new Set<number | undefined>();
  for (const body of [...beginning, ...bodies]) {
    const event = at(body, events.length + 1);
    if (!mayBeWritten(fold.session, event, runningHooks)) continue;
    events.push(event);
    fold.apply(event);
    // The worker before this one died, and its hooks are run again.
    if (event.type === 'worker.started') runningHooks.clear();
    if (event.type === 'hook.started') runningHooks.add(event.task);
    if (event.type === 'hook.finished') runningHooks.delete(event.task);
  }
  return events;
});

function mayBeWritten(session: Session | null, event: SessionEvent, runningHooks: ReadonlySet<number | undefined>): boolean {
  if (session === null) return event.type === 'session.created';
  switch (event.type) {
    case 'session.created':
      return false;
    case 'session.settled':
      return session.settledSeq === null && allSettled(session);
    case 'session.acknowledged':
      return event.upTo <= session.lastSeq;
    case 'task.added':
      return !session.tasks.has(event.task);
    case 'task.expired': {
      const named = session.tasks.get(event.task);
      return named?.state.kind === 'finished' && !hookPending(named.hook);
    }
    case 'hook.started': {
      const hook = event.task === undefined ? session.completeHook : session.tasks.get(event.task)?.hook;
      return hook !== undefined && hookPending(hook) && !runningHooks.has(event.task);
    }
    case 'hook.finished':
      // A hook that was started comes to its end, whatever was done to its task meanwhile.
      return runningHooks.has(event.task);
    default: {
      if (!('task' in event)) return true;
      const named = session.tasks.get(event.task);
      return named !== undefined && isLegal(named, event, session.settings);
    }
  }
}

describe('any sequence of events, even a damaged one', () => {
  it('never throws, and gives the same session again', () => {
    fc.assert(
      fc.property(anyJournal, (events) => {
        expect(foldOf(events)).toEqual(foldOf(events));
      }),
    );
  });

  it('moves a task only where a task may go', () => {
    always(anyJournal, (before, _event, after) =>
      tasksOf(after).every(({ number, state }) => {
        const from = before?.tasks.get(number)?.state;
        if (from === undefined) return state.kind === 'queued' || state.kind === 'paused';
        return from === state || NEXT[from.kind].includes(state.kind);
      }),
    );
  });

  it('changes no task but the one that the event names, and that one only if it may', () => {
    always(anyJournal, (before, event, after) =>
      tasksOf(before).every((task) => {
        const concerned = 'task' in event && event.task === task.number && event.type !== 'task.added';
        const legal = concerned && before !== null && isLegal(task, event, before.settings);
        const next = after?.tasks.get(task.number);
        return legal ? next?.lastSeq === event.seq : next === task;
      }),
    );
  });

  it('never loses a task, and every task is in one state', () => {
    always(anyJournal, (before, _event, after) => {
      const counts = after === null ? [] : Object.values(countStates(after));
      const total = counts.reduce((sum, count) => sum + count, 0);
      return total === tasksOf(after).length && tasksOf(before).every(({ number }) => after?.tasks.has(number));
    });
  });

  it('delivers a file once: what was claimed stays claimed, where it was put', () => {
    always(anyJournal, (before, _event, after) =>
      tasksOf(before).every(({ number, state }) => state.kind !== 'claimed' || after?.tasks.get(number)?.state === state),
    );
  });

  it('finishes only what was running', () => {
    always(anyJournal, (before, _event, after) =>
      tasksOf(after).every(({ number, state, startedAt }) => {
        if (state.kind !== 'finished') return true;
        const from = before?.tasks.get(number)?.state.kind;
        return startedAt !== null && (from === 'running' || from === 'verifying' || from === 'finished');
      }),
    );
  });

  it('keeps its numbers in order', () => {
    always(anyJournal, (before, event, after) => {
      if (after === null) return true;
      const { lastSeq, ackedSeq, generation } = before ?? { lastSeq: 0, ackedSeq: 0, generation: 0 };
      const grows = after.lastSeq >= lastSeq && after.ackedSeq >= ackedSeq && after.generation >= generation;
      const bounded = after.ackedSeq <= after.lastSeq && (after.settledSeq ?? 0) <= after.lastSeq;
      return grows && bounded && tasksOf(after).every((task) => task.lastSeq <= event.seq && task.ackedSeq <= task.lastSeq);
    });
  });
});

describe('what came in between', () => {
  const folded = (...bodies: EventBody[]): SessionFold => {
    const fold = new SessionFold();
    [...beginning, ...bodies].forEach((body, index) => fold.apply(at(body, index + 1)));
    return fold;
  };
  const ended: EventBody[] = [{ type: 'task.started', task: 1, attempt: 1, offset: 0 }, { type: 'task.failed', task: 1, error }];
  const started: EventBody = { type: 'hook.started', task: 1, run: 1, ...hook };

  it('a hook whose task was cancelled or begun again before it could start does not start any more', () => {
    const hookAfter = (...bodies: EventBody[]): unknown => folded(...ended, ...bodies, started).session?.tasks.get(1)?.hook.kind;
    expect([hookAfter(), hookAfter({ type: 'task.cancelled', task: 1 }), hookAfter({ type: 'task.retried', task: 1 })]).toEqual(['running', 'none', 'none']);
  });

  it('nor does that of a session that goes on', () => {
    const complete: EventBody = { type: 'hook.started', hook: 'complete', eventId: 'c', run: 1 };
    const settled: EventBody = { type: 'session.settled', counts: {} };
    expect(folded(settled, complete).session?.completeHook.kind).toBe('running');
    expect(folded(settled, { type: 'task.retried', task: 1 }, complete).session?.completeHook).toEqual({ kind: 'none' });
  });

  it('a task that is added to a session which was to go with its files keeps it', () => {
    const more: EventBody = { type: 'task.added', task: 3, request: 'r#3', paused: false, spec };
    expect([true, false].map((purge) => folded({ type: 'session.forgetting', purge }, more).session?.forgetting)).toEqual([null, { purge: false }]);
  });
});

describe('a journal that a worker wrote', () => {
  it('does not call itself settled while a task has something to do', () => {
    always(legalJournal, (_before, _event, after) => after === null || after.settledSeq === null || tasksOf(after).every(isSettled));
  });

  it('owes a hook only for a task that has ended with a file or an error, and for a session that has settled', () => {
    always(legalJournal, (_before, _event, after) => {
      const owing = tasksOf(after).filter((task) => task.hook.kind === 'due');
      const ended = owing.every(({ state }) => state.kind === 'finished' || state.kind === 'failed' || state.kind === 'claimed');
      return ended && (after?.completeHook.kind !== 'due' || after.settledSeq !== null);
    });
  });

  it('ignores conditions only for a task that is under way', () => {
    always(legalJournal, (_before, _event, after) =>
      tasksOf(after).every((task) => !task.ignoreConditions || !(isSettled(task) || task.state.kind === 'paused')),
    );
  });

  it('is in a state that its tasks bear out', () => {
    always(legalJournal, (_before, _event, after) => {
      if (after === null) return true;
      const [alive, dead] = [sessionState(after, true), sessionState(after, false)];
      if (isOver(after) && alive !== 'settled') return false;
      if (alive === 'settled' && !tasksOf(after).every(isSettled)) return false;
      if (alive === 'paused' && tasksOf(after).some(({ state }) => state.kind === 'running' || state.kind === 'queued')) return false;
      return dead === (alive === 'running' || alive === 'waiting' ? 'interrupted' : alive);
    });
  });

  it('reaches every state, so that these tests say something', () => {
    const seen = new Set<TaskStateKind>();
    always(legalJournal, (_before, _event, after) => {
      for (const { state } of tasksOf(after)) seen.add(state.kind);
      return true;
    });
    expect([...seen].sort()).toEqual(Object.keys(NEXT).sort());
  });
});

function at(body: EventBody, seq: number): SessionEvent {
  return { ...body, seq, gen: 1 + Math.floor(seq / 20), time: seq * 1000 };
}

function foldOf(events: readonly SessionEvent[]): Session | null {
  const fold = new SessionFold();
  for (const event of events) fold.apply(event);
  return fold.session;
}

function tasksOf(session: Session | null): Task[] {
  return [...(session?.tasks.values() ?? [])];
}

type Rule = (before: Session | null, event: SessionEvent, after: Session | null) => boolean;

/** `rule` holds around every event of any such journal, and so for each of its prefixes. */
function always(journal: fc.Arbitrary<SessionEvent[]>, rule: Rule): void {
  fc.assert(
    fc.property(journal, (events) => {
      const fold = new SessionFold();
      return events.every((event) => {
        // The fold's map of tasks goes on changing; the tasks in it do not.
        const before = fold.session === null ? null : { ...fold.session, tasks: new Map(fold.session.tasks) };
        fold.apply(event);
        return rule(before, event, fold.session);
      });
    }),
    { numRuns: 200 },
  );
}
