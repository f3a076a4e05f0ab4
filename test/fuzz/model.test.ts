import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import { decide, type Answer, type NewTask, type Request } from '../../src/domain/requests.js';
import { allSettled, countStates, isLegal, type Session } from '../../src/domain/session.js';
import { isSettled } from '../../src/domain/task.js';
import { Journal } from '../../src/store/journal.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { seal } from '../../src/store/sealed.js';
import { markOf } from '../support/marked.js';
import { finished, specOf } from '../support/sessions.js';
import { COMMANDS_REPLAY, fuzz } from './fuzz.js';

/** What an observer remembers of a session, told only by its answers and its events. */
interface Model {
  exists: boolean;
  lastSeq: number;
  generation: number;
  readonly claimed: Map<number, string>;
  readonly urls: Map<number, string>;
}

/** A session in the hands of one owner after the other, its journal on a real disk. */
class Real {
  readonly path: string;
  journal: Journal;
  generation: number;
  requests = 0;

  constructor(path: string, journal: Journal, generation: number) {
    this.path = path;
    this.journal = journal;
    this.generation = generation;
  }

  get session(): Session | null {
    return this.journal.session;
  }
}

type Step = fc.AsyncCommand<Model, Real>;

/** Writes what `bodies` come to, then holds what was written against all that must always be true. */
async function commit(model: Model, real: Real, bodies: (session: Session | null) => readonly EventBody[]): Promise<void> {
  const before = real.session === null ? null : { ...real.session, tasks: new Map(real.session.tasks) };
  const events = await real.journal.commit(bodies);
  for (const event of events) {
    expect(event.seq).toBe((model.lastSeq += 1));
    expect(event.gen).toBe(real.generation);
    if (event.type === 'task.added') {
      expect(event.task).toBe(model.urls.size + 1);
      model.urls.set(event.task, event.spec.urlHash);
    }
    if (event.type === 'task.claimed') {
      expect(model.claimed.has(event.task)).toBe(false);
      model.claimed.set(event.task, event.path ?? '');
    }
  }
  const { session } = real;
  if (session === null) return;
  model.exists = true;
  expect([...session.tasks.keys()]).toEqual([...model.urls.keys()]);
  expect(Object.values(countStates(session)).reduce((sum, count) => sum + count, 0)).toBe(model.urls.size);
  for (const [number, path] of model.claimed) expect(session.tasks.get(number)?.state).toMatchObject({ kind: 'claimed', path });
  if (session.settledSeq !== null) expect([...session.tasks.values()].every(isSettled)).toBe(true);
  expect(session.ackedSeq).toBeLessThanOrEqual(session.lastSeq);
  for (const [number, task] of before?.tasks ?? []) {
    if (!events.some((event) => 'task' in event && event.task === number)) expect(session.tasks.get(number)).toBe(task);
  }
}

/** A command's request, as the owner carries it out; and again, as after a crash before the answer. */
class Ask implements Step {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const id = `r${(real.requests += 1)}`;
    const answers: Answer[] = [];
    for (let time = 1; time <= 2; time += 1) {
      await commit(model, real, (session) => {
        const { events, answer } = decide('s', session, id, this.#request);
        answers.push(answer);
        if (!answer.ok) expect(events).toEqual([]);
        if (session !== null && time === 1) expectLegalOneByOne(session, events);
        return events;
      });
    }
    const [first, second] = answers;
    // What was granted once is granted again, for the same tasks; only that the session may be over by then.
    if (first?.ok === true && second?.ok === true && this.#request.kind === 'add') expect(second.tasks).toEqual(first.tasks);
  }

  toString(): string {
    return this.#request.kind === 'add' ? `add ${this.#request.tasks.map(({ spec, paused, forceNew }) => JSON.stringify([spec.name, spec.to, spec.onFinish, paused, forceNew])).join()}` : JSON.stringify(this.#request);
  }
}

/** The first event about each task is possible as things stand: a decision relies on nothing that only the journal would leave out. */
function expectLegalOneByOne(session: Session, events: readonly EventBody[]): void {
  const seen = new Set<number>();
  for (const body of events) {
    if (!('task' in body) || body.type === 'task.added') continue;
    const task = session.tasks.get(body.task ?? 0);
    if (task === undefined || seen.has(task.number)) continue;
    seen.add(task.number);
    expect(isLegal(task, { ...body, seq: session.lastSeq + 1, gen: 1, time: 1 }, session.settings)).toBe(true);
  }
}

/** What the worker does with a task, if it may; and the end of all work when there is no more. */
class Work implements Step {
  readonly #bodies: readonly EventBody[];

  constructor(bodies: readonly EventBody[]) {
    this.#bodies = bodies;
  }

  check(model: Readonly<Model>): boolean {
    return model.exists;
  }

  async run(model: Model, real: Real): Promise<void> {
    await commit(model, real, () => this.#bodies);
    await commit(model, real, (session) =>
      session !== null && session.tasks.size > 0 && session.settledSeq === null && allSettled(session)
        ? [{ type: 'session.settled', counts: countStates(session) }]
        : [],
    );
  }

  toString(): string {
    return this.#bodies.map((body) => `${body.type} ${'task' in body ? body.task : ''}`).join(', ');
  }
}

/** The owner dies, half way through a line perhaps; a later line of his comes too late; the next owner finds the same session. */
class Crash implements Step {
  readonly #torn: string;

  constructor(torn: string) {
    this.#torn = torn;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const before = real.session;
    await real.journal.close();
    await writeFile(real.path, this.#torn, { flag: 'a' });
    await expectReplay(real.path, before);
    real.generation = model.generation += 1;
    real.journal = await open(real.path, real.generation);
    expect(real.session).toEqual(before);
    if (before === null) return;
    const stale = seal({ v: 1, seq: 999_999, gen: real.generation - 1, time: new Date(0).toISOString(), type: 'task.cancelled', task: 1 }, markOf(await readFile(real.path, 'utf8')));
    await commit(model, real, () => [{ type: 'worker.started', pid: 1, version: '1' }]);
    await real.journal.close();
    await writeFile(real.path, `${stale}\n`, { flag: 'a' });
    const after = real.session;
    real.journal = await open(real.path, real.generation);
    expect(real.session).toEqual(after);
  }

  toString(): string {
    return `crash ${JSON.stringify(this.#torn)}`;
  }
}

function open(path: string, gen: number): Promise<Journal> {
  return Journal.open(path, { gen, stillMine: () => Promise.resolve(true) }, null);
}

async function expectReplay(path: string, session: Session | null): Promise<void> {
  const reader = new JournalReader(path);
  await reader.poll();
  expect(reader.session).toEqual(session);
}

const ERROR = { code: 'not-found', message: 'm', exitCode: 3, transient: false } as const;
const NEEDS = { code: 'needs-url', message: 'm', since: 0, nextCheckAt: null } as const;
const BACKOFF = { code: 'backoff', message: 'm', since: 0, nextCheckAt: 9 } as const;

const number = fc.integer({ min: 1, max: 4 });
const names = fc.array(fc.oneof(number.map(String), fc.constant('b')), { maxLength: 2 });
const newTask = fc
  .record({ url: fc.constantFrom('a', 'b', 'c'), paused: fc.boolean(), hook: fc.boolean(), to: fc.constantFrom(null, '/d/', '/d/f') })
  .map(({ url, paused, hook, to }): NewTask => ({ spec: specOf({ urlHash: url, name: url, to, onFinish: hook ? 'true' : null }), secrets: { url }, paused, forceNew: false }));
/** `--new` is for all that one command starts. */
const newTasks = fc.tuple(fc.array(newTask, { minLength: 1, maxLength: 3 }), fc.boolean()).map(([tasks, forceNew]) => tasks.map((task) => ({ ...task, forceNew })));
const request: fc.Arbitrary<Request> = fc.oneof(
  { arbitrary: newTasks.map((tasks): Request => ({ kind: 'add', tasks, settings: {}, temp: null, defaultTemp: '/t', cwd: '/' })), weight: 4 },
  fc.tuple(fc.constantFrom('pause' as const, 'retry' as const), names).map(([kind, chosen]): Request => ({ kind, names: chosen })),
  fc.tuple(names, fc.boolean()).map(([chosen, now]): Request => ({ kind: 'resume', names: chosen, now })),
  fc.tuple(names, fc.boolean()).map(([chosen, purge]): Request => ({ kind: 'cancel', names: chosen, purge })),
  names.map((chosen): Request => ({ kind: 'set', names: chosen, settings: { jobs: 2 }, spec: { label: 'l' }, url: null })),
  { arbitrary: fc.tuple(number, number).map(([task, to]): Request => ({ kind: 'claimed', claims: [{ task, path: `/d/${to}` }] })), weight: 2 },
  fc.nat({ max: 40 }).map((upTo): Request => ({ kind: 'acknowledge', upTo })),
  fc.tuple(fc.constantFrom('settled' as const, 'when-done' as const, 'cancel' as const), fc.boolean()).map(([mode, purge]): Request => ({ kind: 'forget', mode, purge })),
);
const hookOf = (task: number, ok: boolean): EventBody[] => [
  { type: 'hook.started', task, hook: 'finish', eventId: 'e', run: 1 },
  { type: 'hook.finished', task, hook: 'finish', eventId: 'e', ok, message: '', retryAt: null },
];
const work: fc.Arbitrary<readonly EventBody[]> = number.chain((task) =>
  fc.oneof(
    { arbitrary: fc.constant(finished(task)), weight: 3 },
    fc.constantFrom<readonly EventBody[]>(
      [{ type: 'task.started', task, attempt: 1, offset: 0 }],
      [{ type: 'task.started', task, attempt: 1, offset: 0 }, { type: 'task.retrying', task, error: ERROR, progressed: false, counts: true, reason: BACKOFF }],
      [{ type: 'task.waiting', task, reasons: [NEEDS] }],
      [{ type: 'task.failed', task, error: ERROR }],
      [{ type: 'task.expired', task }],
      hookOf(task, true),
      hookOf(task, false),
    ),
  ),
);
const torn = fc.oneof(fc.constant(''), fc.string(), fc.constant('{"v":1,"seq":7,"gen":9,"time":"2026-01-01T00:00:00.000Z","type":"task.cancelled","task":1,"crc":"0')).map((text) => text.replaceAll('\n', ''));

/** A sync costs nothing here, and nobody cuts the power. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

describe('a session', () => {
  const steps = fc.commands([request.map((asked) => new Ask(asked)), work.map((bodies) => new Work(bodies)), torn.map((text) => new Crash(text))], { maxCommands: 30, size: '+1', ...COMMANDS_REPLAY });

  fuzz('#40 #47 #65 keeps its word, whatever is asked, whatever the worker does and whenever it dies', 30, [steps], async (commands) => {
    const dir = await mkdtemp(join(MEMORY, 'poste-model-'));
    const path = join(dir, 'journal.ndjson');
    const real = new Real(path, await open(path, 1), 1);
    try {
      await fc.asyncModelRun(() => ({ model: { exists: false, lastSeq: 0, generation: 1, claimed: new Map(), urls: new Map() }, real }), commands);
      await expectReplay(path, real.session);
    } finally {
      await real.journal.close();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
