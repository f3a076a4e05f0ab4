import { describe, expect, it } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import type { ErrorInfo } from '../../src/domain/errors.js';
import type { ReasonCode } from '../../src/domain/task.js';
import { hasOutcome, outcomeCode } from '../../src/session/outcome.js';
import { stateNow } from '../../src/session/read.js';
import { addedTask, CREATED, finished, sessionAfter } from '../support/sessions.js';

const failed = (task: number, code: ErrorInfo['code'], exitCode: number): EventBody => ({
  type: 'task.failed',
  task,
  error: { code, message: 'm', exitCode, transient: false },
});
const waiting = (task: number, code: ReasonCode): EventBody => ({ type: 'task.waiting', task, reasons: [{ code, message: 'm', since: 0, nextCheckAt: null }] });
const gaveUp = (task: number): EventBody[] => [
  { type: 'hook.started', hook: 'finish', task, eventId: 'e', run: 1 },
  { type: 'hook.finished', hook: 'finish', task, eventId: 'e', ok: false, message: 'exit 1', retryAt: null },
];
const SETTLED: EventBody = { type: 'session.settled', counts: {} };

describe('the outcome as an exit code', () => {
  const table: readonly [string, number, readonly EventBody[]][] = [
    ['all finished', 0, [addedTask(1), ...finished(1), SETTLED]],
    ['no task at all', 0, []],
    ['one failed', 3, [addedTask(1), ...finished(1), addedTask(2), failed(2, 'not-found', 3), SETTLED]],
    ['two failed alike', 3, [addedTask(1), failed(1, 'not-found', 3), addedTask(2), failed(2, 'not-found', 3), SETTLED]],
    ['two failed in different ways', 46, [addedTask(1), failed(1, 'not-found', 3), addedTask(2), failed(2, 'tls', 34), SETTLED]],
    ['cancelled', 44, [addedTask(1), { type: 'task.cancelled', task: 1 }, SETTLED]],
    ['expired', 41, [addedTask(1), ...finished(1), { type: 'task.expired', task: 1 }, SETTLED]],
    ['still queued', 7, [addedTask(1)]],
    ['paused', 7, [addedTask(1, {}, true)]],
    ['waiting for credentials', 24, [addedTask(1), waiting(1, 'needs-auth')]],
    ['waiting for a new link', 3, [addedTask(1), waiting(1, 'needs-url')]],
    ['backing off', 7, [addedTask(1), waiting(1, 'backoff')]],
    ['its hook was given up', 37, [addedTask(1, { onFinish: 'x' }), ...finished(1), ...gaveUp(1), SETTLED]],
    ['its hook was given up, then claimed', 0, [addedTask(1, { onFinish: 'x' }), ...finished(1), ...gaveUp(1), { type: 'task.claimed', task: 1, path: '/d', by: 'claim' }]],
  ];
  it.each(table)('%s: %i', (_, code, events) => {
    expect(outcomeCode(sessionAfter(CREATED, ...events))).toBe(code);
  });
});

describe('there is nothing more to wait for', () => {
  const needsAuth = [addedTask(1), waiting(1, 'needs-auth')];
  const table: readonly [boolean, string, readonly EventBody[]][] = [
    [true, 'without a task', []],
    [true, 'when it was said that all has settled', [addedTask(1), ...finished(1), SETTLED]],
    [false, 'before that was said', [addedTask(1), ...finished(1)]],
    [false, 'while a hook is due', [addedTask(1, { onFinish: 'x' }), ...finished(1)]],
    [true, 'when only a person can help', needsAuth],
    [false, 'while something else moves', [...needsAuth, addedTask(2)]],
    [false, 'while it is paused: resume lets it go on', [addedTask(1, {}, true)]],
    [false, 'when a task came after all had settled', [addedTask(1), ...finished(1), SETTLED, addedTask(2)]],
  ];
  it.each(table)('%s: %s', (expected, _, events) => {
    expect(hasOutcome(sessionAfter(CREATED, ...events))).toBe(expected);
  });
});

describe('a session without a worker', () => {
  it('is interrupted when its worker died before it said that all has settled: nobody would ever say it', () => {
    const session = sessionAfter(CREATED, addedTask(1), ...finished(1));
    expect(stateNow(session, false)).toBe('interrupted');
    expect(stateNow(session, true)).toBe('settled');
    expect(stateNow(sessionAfter(CREATED, addedTask(1), ...finished(1), SETTLED), false)).toBe('settled');
    expect(stateNow(sessionAfter(CREATED), false)).toBe('settled');
  });
});
