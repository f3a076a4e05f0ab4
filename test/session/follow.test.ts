import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { EventBody, SessionEvent } from '../../src/domain/events.js';
import { ask, type Asking } from '../../src/session/ask.js';
import { claim } from '../../src/session/claim.js';
import { follow, type Observation } from '../../src/session/follow.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { openOwned } from '../../src/store/owned-session.js';
import { take } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import { specOf } from '../support/sessions.js';

let home: string;
let asking: Asking;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-follow-'));
  asking = { home, id: 's', paths: sessionPaths(home, 's'), needsWorker: false, deadlineMs: 10_000 };
  const tasks = ['a', 'b'].map((name) => ({ spec: specOf({ name, urlHash: name }), secrets: {}, paused: true, forceNew: false }));
  await ask(asking, { kind: 'add', tasks, settings: {}, temp: null, defaultTemp: asking.paths.dir, cwd: '/' });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(home, { recursive: true, force: true });
});

/** What an owner tells in the moment before the `nth` time that a follower reads the journal; then it takes the session away, if it `leaves`. */
function tellBeforePoll(nth: number, events: readonly EventBody[], leaves = false): void {
  let polls = 0;
  vi.spyOn(JournalReader.prototype, 'poll').mockImplementation(async function poll(this: JournalReader) {
    polls += 1;
    if (polls === nth) {
      const taken = await take(asking.paths, 'command', '1');
      if (taken.kind !== 'taken') throw new Error(`not taken: ${taken.kind}`);
      const owned = await openOwned('s', asking.paths, taken.ownership, null);
      await owned.journal.commit(() => events);
      await owned.journal.close();
      if (leaves) await rename(asking.paths.dir, join(home, 'gone'));
      await owned.ownership.release();
    }
    const read: SessionEvent[] = [];
    await this.catchUp((event) => read.push(event));
    return read;
  });
}

async function followed(): Promise<Observation[]> {
  const seen: Observation[] = [];
  for await (const observation of follow({ asking, since: 'now', revive: false, signal: AbortSignal.timeout(10_000) })) seen.push(observation);
  return seen;
}

it('a claim that waits for a task sees that it settled between the first look and the first reading', async () => {
  tellBeforePoll(1, [{ type: 'task.cancelled', task: 1 }]);
  const request = { names: ['1'], wait: true, to: null, cwd: home, onConflict: 'fail', timeoutMs: 10_000, since: 0 } as const;
  const { failed } = await claim(asking, request, () => undefined);
  expect(failed).toMatchObject([{ task: 1, error: { message: 'task 1 cannot be claimed: it is cancelled' } }]);
});

it('what is told of a session just before it is removed is still seen', async () => {
  tellBeforePoll(3, [{ type: 'task.cancelled', task: 1 }, { type: 'task.cancelled', task: 2 }, { type: 'session.forgotten' }], true);
  const events = (await followed()).flatMap((observation) => (observation.kind === 'event' ? [observation.event] : []));
  expect(events).toMatchObject([{ type: 'task.cancelled', task: 1 }, { type: 'task.cancelled', task: 2 }, { type: 'session.forgotten' }]);
});

it('a replay ends when it is told to', async () => {
  const abort = new AbortController();
  const seen: string[] = [];
  for await (const { kind } of follow({ asking, since: 0, revive: false, signal: abort.signal })) {
    seen.push(kind);
    abort.abort();
  }
  expect(seen).toEqual(['snapshot']);
});
