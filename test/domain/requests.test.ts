import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import { decide, type Decision, type NewTask, type Request } from '../../src/domain/requests.js';
import type { Session } from '../../src/domain/session.js';
import { addedTask, CREATED, finished, firstIllegal, foldOf, sessionAfter, specOf } from '../support/sessions.js';

const ERROR = { code: 'not-found', message: 'm', exitCode: 3, transient: false } as const;
const NEEDS_AUTH = { code: 'needs-auth', message: 'm', since: 0, nextCheckAt: null } as const;
const BACKOFF = { code: 'backoff', message: 'm', since: 0, nextCheckAt: 9 } as const;

function newTask(url: string, change: Partial<NewTask> = {}, spec: Partial<NewTask['spec']> = {}): NewTask {
  return { spec: specOf({ url: `https://example.org/${url}`, urlHash: `hash-${url}`, name: url, ...spec }), secrets: {}, paused: false, forceNew: false, ...change };
}

function adding(...tasks: NewTask[]): Request {
  return { kind: 'add', tasks, settings: {}, temp: null, defaultTemp: '/t', cwd: '/' };
}

function granted(decision: Decision): { tasks: readonly number[]; existing: readonly number[] } {
  if (!decision.answer.ok) throw new Error(`refused: ${decision.answer.error.message}`);
  return decision.answer;
}

function refusal(decision: Decision): string {
  expect(decision).toMatchObject({ events: [], purge: [] });
  expect(decision.secrets.size + decision.links.size).toBe(0);
  return decision.answer.ok ? 'granted' : decision.answer.error.code;
}

const types = ({ events }: Decision): string[] => events.map(({ type }) => type);

/** One session with a task in each state: 1 queued, 2 paused, 3 running, 4 backing off, 5 needs credentials, 6 finished, 7 failed, 8 cancelled, 9 claimed. */
const EVERY_STATE: readonly EventBody[] = [
  CREATED,
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((task) => addedTask(task, {}, task === 2)),
  { type: 'task.started', task: 3, attempt: 1, offset: 0 },
  { type: 'task.waiting', task: 4, reasons: [BACKOFF] },
  { type: 'task.waiting', task: 5, reasons: [NEEDS_AUTH] },
  ...finished(6),
  { type: 'task.failed', task: 7, error: ERROR },
  { type: 'task.cancelled', task: 8 },
  ...finished(9),
  { type: 'task.claimed', task: 9, path: '/d/9', by: 'claim' },
];

describe('start', () => {
  it('creates the session with its first task', () => {
    const decision = decide('s', null, 'r', adding(newTask('x')));
    expect(types(decision)).toEqual(['session.created', 'task.added']);
    expect(granted(decision)).toMatchObject({ tasks: [1], existing: [] });
  });

  it('#103 recognises the same URL, also twice in one command, and keeps two names of one URL apart', () => {
    const session = sessionAfter(CREATED, addedTask(1, { urlHash: 'hash-x' }));
    expect(granted(decide('s', session, 'r', adding(newTask('x'))))).toMatchObject({ tasks: [1], existing: [1] });
    expect(granted(decide('s', null, 'r', adding(newTask('x'), newTask('x'))))).toMatchObject({ tasks: [1, 1], existing: [1] });
    const named = (name: string): NewTask => newTask('x', {}, { name, namedBy: 'user' });
    expect(granted(decide('s', null, 'r', adding(named('p'), named('q'))))).toMatchObject({ tasks: [1, 2], existing: [] });
    expect(granted(decide('s', session, 'r', adding(newTask('x', { forceNew: true }))))).toMatchObject({ tasks: [2], existing: [] });
  });

  it.each([
    [1, []],
    [3, []],
    [5, ['task.paused', 'task.resumed']],
    [6, []],
    [7, ['task.retried']],
    [8, ['task.retried']],
    [9, []],
  ])('lets task %i of a session with every state go on if that is what was missing: %j', (task, events) => {
    const session = sessionAfter(...EVERY_STATE);
    expect(types(decide('s', session, 'r', adding(newTask(String(task)), newTask(String(task)))))).toEqual(events);
  });

  it('gives a task that goes on its secrets anew, and one that has its file none', () => {
    const session = sessionAfter(...EVERY_STATE);
    const secrets = { headers: [['a', 'b']] } as const;
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((task) => newTask(String(task), { secrets }));
    expect([...decide('s', session, 'r', adding(...all)).secrets.keys()]).toEqual([1, 2, 3, 4, 5, 7, 8]);
  });

  it('#103 refuses two files for one destination, and creates neither', () => {
    const to = (url: string, path: string): NewTask => newTask(url, {}, { to: path });
    expect(refusal(decide('s', null, 'r', adding(to('x', '/d/f'), to('y', '/d/f'))))).toBe('usage');
    expect(refusal(decide('s', null, 'r', adding(to('f', '/d/'), to('y', '/d/f'))))).toBe('usage');
    const session = sessionAfter(CREATED, addedTask(1, { to: '/d/f' }));
    expect(refusal(decide('s', session, 'r', adding(to('y', '/d/f'))))).toBe('usage');
  });

  it('takes the destination of a download that failed, was cancelled or was claimed', () => {
    for (const task of [7, 8, 9]) {
      const events = EVERY_STATE.map((body) => (body.type === 'task.added' && body.task === task ? addedTask(task, { to: '/d/f' }) : body));
      expect(granted(decide('s', sessionAfter(...events), 'r', adding(newTask('right', {}, { to: '/d/f' })))).tasks).toEqual([10]);
    }
  });

  it('refuses another temp folder than the session has', () => {
    const request = { ...adding(newTask('x')), temp: '/elsewhere' } as Request;
    expect(refusal(decide('s', sessionAfter(CREATED), 'r', request))).toBe('usage');
  });

  it('adds to a session of 200 000 tasks', () => {
    const { session } = foldOf([CREATED, ...Array.from({ length: 200_000 }, (_, index) => addedTask(index + 1))]);
    expect(granted(decide('s', session, 'r', adding(newTask('x')))).tasks).toEqual([200_001]);
  });
});

describe('start of what the session has already', () => {
  const digest = (hex: string): NewTask => newTask('x', {}, { checksum: { algorithm: 'sha256', hex } });

  it('takes up what is said anew, and leaves what is not said as it was', () => {
    const session = sessionAfter(CREATED, addedTask(1, { urlHash: 'hash-x', label: 'mine' }));
    const { events } = decide('s', session, 'r', adding(newTask('x', {}, { to: '/d/', checksum: { algorithm: 'sha256', hex: 'aa' } })));
    expect(events).toEqual([{ type: 'task.changed', task: 1, spec: { to: '/d/', checksum: { algorithm: 'sha256', hex: 'aa' } } }]);
  });

  it('compares a digest with a file that is here, and refuses one that it cannot vouch for', () => {
    const session = sessionAfter(CREATED, addedTask(1, { urlHash: 'hash-x' }), ...finished(1));
    expect(granted(decide('s', session, 'r', adding(digest('00')))).existing).toEqual([1]);
    expect(refusal(decide('s', session, 'r', adding(digest('11'))))).toBe('checksum');
    const sha512 = newTask('x', {}, { checksum: { algorithm: 'sha512', hex: '00' } });
    expect(refusal(decide('s', session, 'r', adding(sha512)))).toBe('checksum');
  });
});

it('a claim is told which of its tasks are claimed as it asked', () => {
  const session = sessionAfter(...EVERY_STATE);
  const claims = [{ task: 9, path: '/d/9' }, { task: 9, path: '/e/9' }, { task: 6, path: '/d/6' }, { task: 3, path: '/d/3' }, { task: 99, path: '/d' }];
  expect(granted(decide('s', session, 'r', { kind: 'claimed', claims })).tasks).toEqual([9, 6]);
});

it('set changes of each task’s conditions what is named, and leaves the others', () => {
  const onlyIf = { when: null, onlyIf: 'true', unmetered: false, notBefore: null, by: null };
  const session = sessionAfter(CREATED, addedTask(1, { conditions: onlyIf }), addedTask(2));
  const { events } = decide('s', session, 'r', { kind: 'set', names: ['1'], settings: {}, spec: {}, conditions: { when: 'ac' }, url: null });
  expect(events).toEqual([{ type: 'task.changed', task: 1, spec: { conditions: { ...onlyIf, when: 'ac' } } }]);
});

describe('the other commands', () => {
  const EVERY = sessionAfter(...EVERY_STATE);
  const table: readonly [string, Request, unknown][] = [
    ['pause stops what moves or waits', { kind: 'pause', names: [] }, ['paused 1', 'paused 3', 'paused 4', 'paused 5']],
    ['resume lets go on what is paused', { kind: 'resume', names: [], now: false }, ['resumed 2']],
    ['resume --now concerns all that is unfinished', { kind: 'resume', names: [], now: true }, [1, 2, 3, 4, 5].map((n) => `resumed ${n}`)],
    ['cancel ends what is unfinished', { kind: 'cancel', names: [], purge: true }, [1, 2, 3, 4, 5].map((n) => `cancelled ${n}`)],
    ['cancel of a finished file is refused', { kind: 'cancel', names: ['6'], purge: false }, 'usage'],
    ['cancel --purge of a finished file by name deletes it', { kind: 'cancel', names: ['6'], purge: true }, ['cancelled 6']],
    ['retry takes up what failed or waits', { kind: 'retry', names: [] }, ['paused 4', 'resumed 4', 'paused 5', 'resumed 5', 'retried 7']],
    ['retry takes up a cancelled task when it is named', { kind: 'retry', names: ['8'] }, ['retried 8']],
    ['retry leaves a claimed file alone', { kind: 'retry', names: ['9'] }, []],
    ['an unknown task is refused', { kind: 'pause', names: ['1', 'nope'] }, 'no-task'],
    ['a task that was claimed already is not claimed again', { kind: 'claimed', claims: [{ task: 9, path: '/d/9' }] }, []],
    ['of several, what has finished is claimed', { kind: 'claimed', claims: [3, 6, 7].map((task) => ({ task, path: `/d/${task}` })) }, ['claimed 6']],
    ['forget refuses while something is unfinished', { kind: 'forget', mode: 'settled', purge: true }, 'unfinished'],
    ['forget --cancel keeps an unclaimed file', { kind: 'forget', mode: 'cancel', purge: false }, 'unfinished'],
    ['forget --when-done waits', { kind: 'forget', mode: 'when-done', purge: false }, ['forgetting']],
    [
      'forget --cancel --purge ends all',
      { kind: 'forget', mode: 'cancel', purge: true },
      [...[1, 2, 3, 4, 5].map((n) => `cancelled ${n}`), 'forgotten'],
    ],
    ['a new link for several tasks is refused', { kind: 'set', names: [], settings: {}, spec: {}, url: { redacted: 'https://example.org/u', hash: 'h', secret: null } }, 'usage'],
    [
      'a new link for one that failed lets it go on',
      { kind: 'set', names: ['7'], settings: {}, spec: {}, url: { redacted: 'https://example.org/u', hash: 'h', secret: null } },
      ['changed 7', 'retried 7'],
    ],
  ];

  it.each(table)('%s', (_, request, expected) => {
    const decision = decide('s', EVERY, 'r', request);
    const told = decision.events.map((body) => `${body.type.split('.')[1] ?? ''}${'task' in body ? ` ${body.task}` : ''}`);
    expect(decision.answer.ok ? told : refusal(decision)).toEqual(expected);
  });

  it.each(table)('need a session: %s', (_, request) => {
    expect(refusal(decide('s', null, 'r', request))).toBe('no-session');
  });

  it('what only a later poste knows is refused', () => {
    expect(refusal(decide('s', EVERY, 'r', { kind: 'archive' } as unknown as Request))).toBe('newer-version');
  });

  it('forget --when-done lets the hooks run first', () => {
    const hook = sessionAfter(CREATED, addedTask(1, { onFinish: 'true' }), { type: 'task.failed', task: 1, error: ERROR });
    expect(types(decide('s', hook, 'r', { kind: 'forget', mode: 'when-done', purge: false }))).toEqual(['session.forgetting']);
    const done = sessionAfter(CREATED, addedTask(1), { type: 'task.failed', task: 1, error: ERROR });
    expect(types(decide('s', done, 'r', { kind: 'forget', mode: 'when-done', purge: false }))).toEqual(['session.forgotten']);
  });
});

const number = fc.integer({ min: 1, max: 4 });
const names = fc.array(fc.oneof(number.map(String), number.map((n) => `file-${n}`)), { maxLength: 2 });
const anyNew = fc
  .record({ url: number.map(String), paused: fc.boolean(), forceNew: fc.boolean(), user: fc.boolean(), to: fc.constantFrom(null, '/d/', '/d/f') })
  .map(({ url, paused, forceNew, user, to }) => newTask(url, { paused, forceNew, secrets: { url } }, { to, namedBy: user ? 'user' : 'url' }));
const link = fc.option(fc.constant({ redacted: 'https://example.org/u', hash: 'h', secret: 'x' }));
const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  { arbitrary: fc.array(anyNew, { maxLength: 4 }).map((tasks) => adding(...tasks)), weight: 4 },
  names.map((chosen): Request => ({ kind: 'pause', names: chosen })),
  fc.tuple(names, fc.boolean()).map(([chosen, now]): Request => ({ kind: 'resume', names: chosen, now })),
  fc.tuple(names, fc.boolean()).map(([chosen, purge]): Request => ({ kind: 'cancel', names: chosen, purge })),
  names.map((chosen): Request => ({ kind: 'retry', names: chosen })),
  fc.tuple(names, link).map(([chosen, url]): Request => ({ kind: 'set', names: chosen, settings: { jobs: 2 }, spec: { label: 'l' }, url })),
  number.map((task): Request => ({ kind: 'claimed', claims: [{ task, path: `/d/${task}` }] })),
  fc.nat({ max: 40 }).map((upTo): Request => ({ kind: 'acknowledge', upTo })),
  fc
    .tuple(fc.constantFrom('settled' as const, 'when-done' as const, 'cancel' as const), fc.boolean())
    .map(([mode, purge]): Request => ({ kind: 'forget', mode, purge })),
);
/** What the worker does between requests. */
const work: fc.Arbitrary<EventBody> = number.chain((task) =>
  fc.constantFrom<EventBody>(
    { type: 'task.started', task, attempt: 1, offset: 0 },
    { type: 'task.waiting', task, reasons: [BACKOFF] },
    { type: 'task.waiting', task, reasons: [NEEDS_AUTH] },
    { type: 'task.failed', task, error: ERROR },
    ...finished(task),
  ),
);
type Step = { readonly request: Request } | { readonly body: EventBody };
const anyHistory = fc.array(fc.oneof(anyRequest.map((request): Step => ({ request })), work.map((body): Step => ({ body }))), { maxLength: 25 });

/** Requests and work in turn; what is illegal of the work is left out, as the journal does. */
function played(history: readonly Step[], seen: (session: Session | null, requestId: string, request: Request, decision: Decision) => void): void {
  const fold = foldOf([]);
  history.forEach((step, index) => {
    if ('body' in step) {
      if (fold.session !== null) firstIllegal(fold, [step.body]);
      return;
    }
    const before = fold.session;
    const decision = decide('s', before, `r${index}`, step.request);
    seen(before, `r${index}`, step.request, decision);
    const illegal = firstIllegal(fold, decision.events);
    if (illegal !== null) throw new Error(`illegal: ${JSON.stringify(illegal)}`);
    const again = decide('s', fold.session, `r${index}`, step.request);
    checkAgain(fold.session, step.request, again);
  });
}

/** A crash between doing and answering asks again: nothing may be added, retried or claimed twice. */
function checkAgain(session: Session | null, request: Request, again: Decision): void {
  const moved = again.events.filter(({ type }) => !HARMLESS.has(type));
  if (session?.forgotten !== true && moved.length > 0) throw new Error(`${request.kind} again: ${JSON.stringify(moved)}`);
}

const HARMLESS = new Set(['session.changed', 'session.forgetting', 'session.forgotten', 'task.changed', 'task.resumed', 'session.acknowledged']);

describe('whatever is asked in whatever order', () => {
  it('the events are possible, and the same request again, after a crash, does no harm', () => {
    fc.assert(fc.property(anyHistory, (history) => { played(history, () => undefined); }), { numRuns: 400 });
  });

  it('a refusal leaves nothing behind, and a grant names tasks that are there', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        played(history, (session, _id, _request, decision) => {
          if (!decision.answer.ok) {
            refusal(decision);
            return;
          }
          const added = decision.events.flatMap((body) => (body.type === 'task.added' ? [body.task] : []));
          for (const task of [...decision.answer.tasks, ...decision.secrets.keys(), ...decision.links.keys(), ...decision.purge]) {
            expect(added.includes(task) || session?.tasks.has(task) === true).toBe(true);
          }
        });
      }),
      { numRuns: 200 },
    );
  });
});
