import { cp, mkdir, mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { takeTurn } from '../../src/delivery/intent.js';
import type { NewTask, Request } from '../../src/domain/requests.js';
import { ask, type Asking } from '../../src/session/ask.js';
import { readSession } from '../../src/session/read.js';
import { isThere } from '../../src/store/files.js';
import { pendingIds, submit, takeAnswer, withdraw } from '../../src/store/inbox.js';
import { Journal } from '../../src/store/journal.js';
import { openOwned, removeSession, serveInbox, type OwnedSession, type Serving } from '../../src/store/owned-session.js';
import { readOwner, take } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import { specOf } from '../support/sessions.js';
import { until } from '../support/wait.js';

let home: string;
let asking: Asking;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'poste-ask-'));
  asking = { home, id: 's', paths: sessionPaths(home, 's'), needsWorker: false, deadlineMs: 10_000 };
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

const SECRETS = { headers: [['authorization', 'secret']] } as const;

function adding(...names: string[]): Request {
  const tasks = names.map((name): NewTask => ({ spec: specOf({ name, urlHash: name }), secrets: SECRETS, paused: true, forceNew: false }));
  return { kind: 'add', tasks, settings: {}, temp: null, defaultTemp: asking.paths.dir, cwd: '/' };
}

async function owning(): Promise<OwnedSession> {
  const taken = await take(asking.paths, 'worker', '1');
  if (taken.kind !== 'taken') throw new Error(`not taken: ${taken.kind}`);
  return openOwned('s', asking.paths, taken.ownership, null);
}

async function givenBack({ journal, ownership }: OwnedSession): Promise<void> {
  await journal.close();
  await ownership.release();
}

const DONE = (): Promise<void> => Promise.resolve();
const NOW: Serving = { quiesce: DONE, endDeliveries: DONE };

async function states(): Promise<string[]> {
  return [...((await readSession(home, 's'))?.session.tasks.values() ?? [])].map(({ state }) => state.kind);
}

describe('without a worker', () => {
  it('a command does it itself, and owns the session no longer than that', async () => {
    expect(await ask(asking, adding('a', 'b'))).toMatchObject({ ok: true, tasks: [1, 2] });
    expect(await states()).toEqual(['paused', 'paused']);
    expect(await readOwner(asking.paths)).toEqual({ kind: 'none' });
    expect(await pendingIds(asking.paths)).toEqual([]);
  });

  it('a refusal reaches whoever asked, and leaves no session behind', async () => {
    await expect(ask(asking, { kind: 'pause', names: [] })).rejects.toMatchObject({ code: 'no-session' });
    expect(await readdir(join(home, 'sessions'))).toEqual([]);
  });

  it('whatever goes wrong, the session is given back and the request taken back', async () => {
    await ask(asking, adding('a'));
    const { journal } = asking.paths;
    await rename(journal, `${journal}.aside`);
    await mkdir(journal);
    for (let n = 0; n < 2; n += 1) await expect(ask(asking, { kind: 'cancel', names: [], purge: false })).rejects.toMatchObject({ code: 'damaged' });
    await rmdir(journal);
    await rename(`${journal}.aside`, journal);
    expect([await readOwner(asking.paths), await pendingIds(asking.paths), await states()]).toEqual([{ kind: 'none' }, [], ['paused']]);
  });

  it('the last open task that is cancelled settles the session: nobody waits for a worker to say so', async () => {
    await ask(asking, adding('a'));
    await ask(asking, { kind: 'cancel', names: [], purge: false });
    const view = await readSession(home, 's');
    expect([view?.state, view?.session.settledSeq]).toEqual(['settled', 4]);
    expect(await ask(asking, { kind: 'forget', mode: 'when-done', purge: false })).toMatchObject({ ok: true });
    expect(await readSession(home, 's')).toBeNull();
  });

  it('twenty commands at once are all served', async () => {
    await ask(asking, adding('seed'));
    const all = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(asking, adding(`n${index}`))));
    expect(all.flatMap(({ tasks }) => tasks).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
    expect(await readOwner(asking.paths)).toEqual({ kind: 'none' });
  });
});

describe('an owner that is killed', () => {
  it('after it recorded the tasks, before it kept their secrets: the next one keeps them, and adds nothing twice', async () => {
    await mkdir(asking.paths.dir, { recursive: true });
    const id = await submit(asking.paths, adding('a'));
    const first = await owning();
    await expect(serveInbox(first, { ...NOW, quiesce: () => Promise.reject(new Error('killed')) })).rejects.toThrow('killed');
    await givenBack(first);
    expect(await takeAnswer(asking.paths, id)).toBeNull();
    const next = await owning();
    expect(next.secrets.get(1)).toEqual({});
    expect(await serveInbox(next, NOW)).toBe(true);
    expect(next.secrets.get(1)).toEqual(SECRETS);
    await givenBack(next);
    expect([await takeAnswer(asking.paths, id), await states()]).toEqual([{ ok: true, tasks: [1], existing: [1] }, ['paused']]);
  });

  it('before it answered: the next one answers, and pauses, cancels or retries nothing twice', async () => {
    await ask(asking, adding('a'));
    const id = await submit(asking.paths, { kind: 'cancel', names: ['1'], purge: true });
    const first = await owning();
    await rename(asking.paths.answers, `${asking.paths.answers}.away`);
    await expect(serveInbox(first, NOW)).rejects.toMatchObject({ code: 'ENOENT' });
    await rename(`${asking.paths.answers}.away`, asking.paths.answers);
    await givenBack(first);
    const seq = (await readSession(home, 's'))?.session.lastSeq;
    const next = await owning();
    await serveInbox(next, NOW);
    await givenBack(next);
    expect(await takeAnswer(asking.paths, id)).toMatchObject({ ok: true });
    expect([await states(), (await readSession(home, 's'))?.session.lastSeq]).toEqual([['cancelled'], seq]);
  });
});

describe('a session that is forgotten', () => {
  it('takes no new tasks with it: they are in the session after it', async () => {
    await ask(asking, adding('old'));
    const owned = await owning();
    await owned.journal.commit(() => [{ type: 'session.forgotten' }]);
    const started = ask(asking, adding('new'));
    await until('the request', async () => (await pendingIds(asking.paths)).length === 1);
    expect(await serveInbox(owned, NOW)).toBe(false);
    expect([(await pendingIds(asking.paths)).length, await readdir(asking.paths.answers)]).toEqual([1, []]);
    await removeSession(owned);
    expect(await started).toMatchObject({ ok: true, tasks: [1], existing: [] });
    const view = await readSession(home, 's');
    expect([...(view?.session.tasks.values() ?? [])].map(({ spec }) => spec.name)).toEqual(['new']);
  });

  it('whose owner died before it was removed is out of the way of a new one', async () => {
    await ask(asking, adding('old'));
    const owned = await owning();
    await owned.journal.commit(() => [{ type: 'session.forgotten' }]);
    await givenBack(owned);
    expect(await readSession(home, 's')).toBeNull();
    expect(await ask(asking, adding('new'))).toMatchObject({ ok: true, tasks: [1], existing: [] });
    expect(await states()).toEqual(['paused']);
  });

  it('is in nobody’s way, though a claim that came too late made its folders where a new one begins', async () => {
    await ask(asking, adding('old'));
    await ask(asking, { kind: 'forget', mode: 'cancel', purge: true });
    await mkdir(asking.paths.dir, { mode: 0o700 });
    await (await takeTurn(asking.paths, { task: 1, by: 'claim', eventId: null, move: null, insideHook: null }, 0)).release();
    expect(await ask(asking, adding('new'))).toMatchObject({ ok: true, tasks: [1], existing: [] });
  });

  it('is owned until it is out of sight, so that nobody loses what he makes in its place', async () => {
    await ask(asking, adding('old'));
    const owned = await owning();
    const seen: boolean[] = [];
    const release = async (): Promise<void> => {
      seen.push(await isThere(asking.paths.dir));
      await owned.ownership.release();
    };
    const { gen, token, lost } = owned.ownership;
    await removeSession({ ...owned, ownership: { gen, token, lost, stillMine: () => owned.ownership.stillMine(), release } });
    expect(seen).toEqual([false]);
    expect(await readdir(join(home, 'sessions'))).toEqual([]);
  });

  it('while another one asks the same is forgotten for both, also when a late request has made its folder anew', async () => {
    await ask(asking, adding('old'));
    const owned = await owning();
    const asked = ask(asking, { kind: 'forget', mode: 'when-done', purge: false });
    await until('the request', async () => (await pendingIds(asking.paths)).length === 1);
    await owned.journal.commit(() => [{ type: 'session.forgotten' }]);
    const anew = join(home, 'anew');
    await mkdir(anew);
    await writeFile(join(anew, basename(asking.paths.journal)), '');
    const { gen, token, lost } = owned.ownership;
    const release = async (): Promise<void> => {
      await rename(anew, asking.paths.dir);
      await owned.ownership.release();
    };
    await removeSession({ ...owned, ownership: { gen, token, lost, stillMine: () => owned.ownership.stillMine(), release } });
    expect(await asked).toMatchObject({ ok: true });
    expect(await readdir(join(home, 'sessions'))).toEqual([]);
  });
});

it('whoever finds the session owned and not answering is told so, and what he asked for is taken back', async () => {
  await ask(asking, adding('a'));
  const owned = await owning();
  const refused = ask({ ...asking, deadlineMs: 100 }, { kind: 'cancel', names: [], purge: false });
  await expect(refused).rejects.toMatchObject({ code: 'worker', message: expect.stringMatching(/does not answer.*taken back/) as string });
  expect(await pendingIds(asking.paths)).toEqual([]);
  await givenBack(owned);
});

it('what stands whatever becomes of its asker is not taken back: it stays recorded, and is told so', async () => {
  await ask(asking, adding('a'));
  const owned = await owning();
  const unheard = ask({ ...asking, deadlineMs: 100 }, { kind: 'claimed', claims: [{ task: 1, path: '/d/a' }] });
  await expect(unheard).rejects.toMatchObject({ code: 'worker', message: expect.stringMatching(/does not answer.*stays recorded/) as string });
  expect(await pendingIds(asking.paths)).toHaveLength(1);
  await serveInbox(owned, NOW);
  await givenBack(owned);
  expect(await pendingIds(asking.paths)).toEqual([]);
});

it('what its owner has begun with is taken back no more, and told so', async () => {
  await ask(asking, adding('a'));
  const owned = await owning();
  let proceed = (): void => undefined;
  const slowly = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const refused = expect(ask({ ...asking, deadlineMs: 300 }, { kind: 'cancel', names: [], purge: false })).rejects.toMatchObject({
    code: 'worker',
    message: expect.stringMatching(/stays recorded/) as string,
  });
  await until('the request', async () => (await pendingIds(asking.paths)).length === 1);
  const served = serveInbox(owned, { ...NOW, quiesce: () => slowly });
  await refused;
  proceed();
  await served;
  await givenBack(owned);
  expect([await pendingIds(asking.paths), await states()]).toEqual([[], ['cancelled']]);
});

it('#64 another session’s journal, which a power cut left in the place of its own, is not believed', async () => {
  const other = { ...asking, id: 'other', paths: sessionPaths(home, 'other') };
  await ask(asking, adding('a'));
  await ask(other, { ...adding('b'), defaultTemp: other.paths.dir } as Request);
  await cp(other.paths.journal, asking.paths.journal);
  await expect(readSession(home, 's')).rejects.toMatchObject({ code: 'damaged' });
  await expect(ask(asking, { kind: 'forget', mode: 'cancel', purge: true })).rejects.toMatchObject({ code: 'damaged' });
  expect((await readSession(home, 'other'))?.session.tasks.size).toBe(1);
});

it('an answer does not go with its session before it was read', async () => {
  await ask(asking, adding('a'));
  await ask(asking, { kind: 'forget', mode: 'when-done', purge: true });
  expect(await ask(asking, { kind: 'cancel', names: ['1'], purge: false })).toMatchObject({ ok: true, tasks: [1] });
  expect(await readSession(home, 's')).toBeNull();
});

it('nor by another owner’s hand', async () => {
  await ask(asking, adding('a'));
  await ask(asking, { kind: 'forget', mode: 'when-done', purge: true });
  const owned = await owning();
  const asked = ask(asking, { kind: 'cancel', names: ['1'], purge: false });
  await until('the request', async () => (await pendingIds(asking.paths)).length === 1);
  await serveInbox(owned, NOW);
  await removeSession(owned);
  expect(await asked).toMatchObject({ ok: true, tasks: [1] });
});

it('what goes wrong after it was done does not take the answer away', async () => {
  await ask(asking, adding('a'));
  await ask(asking, { kind: 'forget', mode: 'when-done', purge: true });
  const asIs = Reflect.get<Journal, 'commit'>(Journal.prototype, 'commit');
  const commit = vi.spyOn(Journal.prototype, 'commit').mockImplementation(async function (this: Journal, decide) {
    return asIs.call(this, (session, time) => {
      const events = decide(session, time);
      if (events.some(({ type }) => type === 'session.forgotten')) throw new Error('a full disk, say');
      return events;
    });
  });
  onTestFinished(() => commit.mockRestore());
  expect(await ask(asking, { kind: 'cancel', names: ['1'], purge: false })).toMatchObject({ ok: true, tasks: [1] });
  expect(await states()).toEqual(['cancelled']);
});

it('what an owner could not record is a request like any other again', async () => {
  await ask(asking, adding('a'));
  const id = await submit(asking.paths, { kind: 'cancel', names: [], purge: false });
  const owned = await owning();
  const commit = vi.spyOn(owned.journal, 'commit').mockRejectedValue(new Error('a full disk, say'));
  await expect(serveInbox(owned, NOW)).rejects.toThrow('a full disk');
  commit.mockRestore();
  expect(await withdraw(asking.paths, id)).toBe(true);
  await serveInbox(owned, NOW);
  await givenBack(owned);
  expect(await states()).toEqual(['paused']);
});
