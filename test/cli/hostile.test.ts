import { describe, expect, it } from 'vitest';
import { eventText } from '../../src/cli/event-text.js';
import { lineView } from '../../src/cli/progress-view.js';
import { startedText } from '../../src/cli/started.js';
import { statusText } from '../../src/cli/status-text.js';
import { INVISIBLE } from '../../src/domain/printable.js';
import type { EventBody } from '../../src/domain/events.js';
import type { TaskConditions } from '../../src/domain/task.js';
import type { SessionView } from '../../src/session/read.js';
import { sessionShown } from '../../src/session/status.js';
import { sessionPaths } from '../../src/store/paths.js';
import { addedTask, at, CREATED, FILE, foldOf, sessionAfter, specOf } from '../support/sessions.js';

/** Clears the screen, sets the title, answers back, writes over its own line, turns the text round, hides, breaks the line. */
const HOSTILE = 'a\x1b[2J\x1b]0;t\x07\x9b6n\rb\n\u202ec\u200b\u2028d\x00\x7f\ud800';
const ERROR = { code: 'network', message: HOSTILE, hint: HOSTILE, exitCode: 6, transient: true } as const;
const REASON = { code: 'backoff', message: HOSTILE, since: 1, nextCheckAt: 2 } as const;
const CONDITIONS: TaskConditions = { when: 'ac', onlyIf: HOSTILE, unmetered: true, notBefore: 1, by: 2 };
const hostile = (task: number): EventBody =>
  addedTask(task, { name: HOSTILE, url: HOSTILE, label: HOSTILE, to: `/${HOSTILE}`, cwd: `/${HOSTILE}`, onFinish: HOSTILE, conditions: CONDITIONS });
const finished: EventBody = { type: 'task.finished', task: 1, name: HOSTILE, file: `/t/${HOSTILE}`, ...FILE };

/** Every event there is, with hostile text wherever text can be. */
const EVENTS: Readonly<Record<EventBody['type'], EventBody>> = {
  'session.created': { ...CREATED, type: 'session.created', id: 's', temp: HOSTILE, cwd: HOSTILE, settings: sessionAfter(CREATED).settings },
  'session.changed': { type: 'session.changed', settings: { onComplete: HOSTILE, limitRate: null } },
  'session.settled': { type: 'session.settled', counts: { finished: 1 } },
  'session.acknowledged': { type: 'session.acknowledged', upTo: 1 },
  'session.forgetting': { type: 'session.forgetting', purge: true },
  'session.forgotten': { type: 'session.forgotten' },
  'worker.started': { type: 'worker.started', pid: 1, version: HOSTILE },
  'worker.exited': { type: 'worker.exited', pid: 1, reason: HOSTILE },
  'task.added': hostile(1),
  'task.changed': { type: 'task.changed', task: 1, spec: specOf({ label: HOSTILE }) },
  'task.started': { type: 'task.started', task: 1, attempt: 1, offset: 5 },
  'task.answered': { type: 'task.answered', task: 1, name: HOSTILE, representation: { total: 1, resumable: true, evidence: 'etag' } },
  'task.waiting': { type: 'task.waiting', task: 1, reasons: [REASON] },
  'task.retrying': { type: 'task.retrying', task: 1, error: ERROR, progressed: false, counts: true, reason: REASON },
  'task.restarted': { type: 'task.restarted', task: 1, reason: HOSTILE, bytesDropped: 1 },
  'task.verifying': { type: 'task.verifying', task: 1 },
  'task.finished': finished,
  'task.failed': { type: 'task.failed', task: 1, error: ERROR },
  'task.paused': { type: 'task.paused', task: 1 },
  'task.resumed': { type: 'task.resumed', task: 1, now: true },
  'task.retried': { type: 'task.retried', task: 1 },
  'task.cancelled': { type: 'task.cancelled', task: 1 },
  'task.claimed': { type: 'task.claimed', task: 1, path: `/d/${HOSTILE}`, by: 'hook' },
  'task.expired': { type: 'task.expired', task: 1 },
  'hook.started': { type: 'hook.started', task: 1, hook: 'finish', eventId: HOSTILE, run: 1 },
  'hook.finished': { type: 'hook.finished', task: 1, hook: 'finish', eventId: HOSTILE, ok: false, message: HOSTILE, retryAt: 5 },
};

function expectInert(line: string): void {
  expect(line.match(INVISIBLE)).toBeNull();
}

function viewAfter(...events: readonly EventBody[]): SessionView {
  const session = sessionAfter(CREATED, ...events);
  return { session, paths: sessionPaths(`/${HOSTILE}`, 's'), state: 'running', worker: null, progress: null, damage: { lines: 2 } };
}

describe('#101 nothing that a server, a file or a hook said acts on a terminal', () => {
  it.each(Object.entries(EVENTS))('events: %s', (_, body) => {
    const line = eventText(at(body, 1));
    expectInert(line);
    expect(line).toContain(body.type);
  });

  it.each(Object.entries(EVENTS))('attach: %s', (_, body) => {
    const { session } = foldOf([CREATED, hostile(1)]);
    if (session === null) throw new Error('no session');
    const lines: string[] = [];
    const view = lineView((line) => lines.push(line), () => 0);
    void view.show({ kind: 'event', event: at(body, 3), session });
    lines.forEach(expectInert);
  });

  it('attach: progress', () => {
    const { session } = viewAfter(hostile(1));
    const lines: string[] = [];
    let now = 0;
    const view = lineView((line) => lines.push(line), () => now);
    now = 60_000;
    const tasks = { 1: { received: 1, total: 2, connections: 1, bytesPerSecond: 3, etaSeconds: 4 } };
    void view.show({ kind: 'progress', progress: { pid: 1, at: 1, tasks }, session });
    expect(lines).toHaveLength(1);
    lines.forEach(expectInert);
  });

  it.each([
    ['waiting', [{ type: 'task.waiting', task: 1, reasons: [REASON] }]],
    ['failed', [{ type: 'task.failed', task: 1, error: ERROR }]],
    ['finished', [{ type: 'task.started', task: 1, attempt: 1, offset: 0 }, finished]],
    ['claimed', [{ type: 'task.started', task: 1, attempt: 1, offset: 0 }, finished, EVENTS['task.claimed']]],
  ] as const satisfies readonly (readonly [string, readonly EventBody[]])[])('status: %s', async (state, events) => {
    const session = await sessionShown(viewAfter(hostile(1), ...events), Infinity);
    const condition = { condition: 'only-if', value: 'no', detail: HOSTILE, source: HOSTILE, ageSeconds: 1, threshold: HOSTILE, met: false } as const;
    const lines = statusText([{ ...session, explain: [{ tasks: [1], conditions: [condition] }] }], { home: HOSTILE, detailed: true });
    lines.forEach(expectInert);
    expect(lines.join('\n')).toContain(state);
  });

  it('status of a home without sessions, and start', () => {
    statusText([], { home: HOSTILE, detailed: false }).forEach(expectInert);
    const view = viewAfter(hostile(1));
    startedText({ granted: { ok: true, tasks: [1], existing: [1] }, view, workerPid: null }, { quiet: false }).forEach(expectInert);
  });
});
