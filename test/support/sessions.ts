import { DEFAULT_SETTINGS, type EventBody, type SessionEvent } from '../../src/domain/events.js';
import { isLegal, SessionFold, type Session } from '../../src/domain/session.js';
import type { TaskSpec } from '../../src/domain/task.js';

/** A session's events and specs for tests of rules and of the store: what a test does not name is unremarkable. */

const NO_CONDITIONS = { when: null, onlyIf: null, unmetered: false, notBefore: null, by: null } as const;

export function specOf(change: Partial<TaskSpec> = {}): TaskSpec {
  return {
    url: 'https://example.org/a',
    urlHash: '00',
    name: 'a',
    namedBy: 'url',
    label: null,
    priority: 'normal',
    to: null,
    cwd: '/',
    checksum: null,
    connections: 'auto',
    conditions: NO_CONDITIONS,
    onFinish: null,
    hookTimeoutMs: 1000,
    stallTimeoutMs: 1000,
    giveUpAfterMs: 1_000_000,
    retries: null,
    maxSize: null,
    expectSize: null,
    headerNames: [],
    userAgent: null,
    caFile: null,
    insecure: false,
    ...change,
  };
}

export const CREATED: EventBody = { type: 'session.created', id: 's', temp: '/t', cwd: '/', settings: DEFAULT_SETTINGS };

export function addedTask(task: number, change: Partial<TaskSpec> = {}, paused = false): EventBody {
  const spec = specOf({ url: `https://example.org/${task}`, urlHash: `hash-${task}`, name: `file-${task}`, ...change });
  return { type: 'task.added', task, request: `seed#${task}`, paused, spec };
}

export const FILE = { size: 1, sha256: '00', length: 'verified' } as const;

export function finished(task: number): EventBody[] {
  return [
    { type: 'task.started', task, attempt: 1, offset: 0 },
    { type: 'task.finished', task, name: `file-${task}`, file: `/t/finished/${task}/file-${task}`, ...FILE },
  ];
}

export function at(body: EventBody, seq: number, time = seq, gen = 1): SessionEvent {
  return { ...body, seq, gen, time };
}

/** The session after `bodies`, one each millisecond from 1 on. */
export function sessionAfter(...bodies: readonly EventBody[]): Session {
  const { session } = foldOf(bodies);
  if (session === null) throw new Error('these events make no session');
  return session;
}

export function foldOf(bodies: readonly EventBody[]): SessionFold {
  const fold = new SessionFold();
  bodies.forEach((body, index) => {
    fold.apply(at(body, index + 1));
  });
  return fold;
}

/** The first of `bodies` that the journal would leave out as impossible; `null` when all may follow one after the other. Applies them. */
export function firstIllegal(fold: SessionFold, bodies: readonly EventBody[]): EventBody | null {
  for (const body of bodies) {
    const event = at(body, (fold.session?.lastSeq ?? 0) + 1);
    const task = 'task' in event ? fold.session?.tasks.get(event.task) : undefined;
    const settings = fold.session?.settings;
    if (event.type === 'task.added') {
      if (task !== undefined) return body;
    } else if ('task' in event && (task === undefined || !isLegal(task, event, settings))) return body;
    fold.apply(event);
  }
  return null;
}
