import { open, type FileHandle } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { takeTurn } from '../../src/delivery/intent.js';
import {
  describeHookExit,
  expiredTasks,
  hookEnvironment,
  hookEventId,
  hookInput,
  hookRetryDelay,
  isHookDue,
  type HookFacts,
} from '../../src/domain/delivery.js';
import type { Session } from '../../src/domain/session.js';
import type { HookState, Task } from '../../src/domain/task.js';
import { makeShelf, readSession } from './shelf.js';

const FACTS: HookFacts = {
  event: 'failed',
  eventId: 'a:1:7',
  id: 'a',
  task: 1,
  file: null,
  name: 'n',
  size: null,
  sha256: null,
  url: 'https://example.org/n?token=***',
  to: null,
  status: 'failed',
  errorCode: 'not-found',
};

it('#90 a hook that fails is run again five times, after 1 s and then twice as long each time', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(hookRetryDelay)).toEqual([1000, 2000, 4000, 8000, 16_000, null, null]);
});

it('#44 a hook is not kept waiting by a clock that was set back', () => {
  expect([isHookDue(1000, 1000), isHookDue(17_000, 1000), isHookDue(3_600_000, 1000)]).toEqual([true, false, true]);
});

it('no variable of the worker reaches a hook but those a shell needs', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string()), (base) => {
      const worker = { ...base, AWS_SECRET: 's', HTTPS_PROXY: 'http://u:p@x', LC_TIME: 'C', PATH: '/bin', POSTE_HOME: '/home', LANG: undefined };
      const environment = hookEnvironment(worker, FACTS);
      const allowed = /^(POSTE_.*|PATH|HOME|LANG|LC_[A-Z]+|TMPDIR|USER|SHELL)$/;
      const others = Object.keys(environment).filter((name) => !allowed.test(name));
      expect(others).toEqual([]);
      expect(environment).toMatchObject({ PATH: '/bin', POSTE_HOME: '/home', LC_TIME: 'C', POSTE_FILE: '', POSTE_TASK: '1', POSTE_ERROR_CODE: 'not-found' });
    }),
  );
  expect(Object.keys(hookEnvironment({}, FACTS)).map((name) => name.slice(6)).join(' ')).toBe(
    'EVENT EVENT_ID ID TASK FILE NAME SIZE SHA256 URL TO STATUS ERROR_CODE',
  );
});

it('the input of a hook is one line of JSON with the same facts, and null where there is none', () => {
  expect(JSON.parse(hookInput(FACTS))).toEqual({ schema: 1, ...FACTS });
  expect(hookInput({ ...FACTS, name: 'two\nlines' }).trimEnd()).not.toContain('\n');
});

it('an event id is the same for each run and differs between tasks and times', () => {
  const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,9}$/);
  const which = fc.tuple(id, fc.option(fc.nat()), fc.nat());
  fc.assert(
    fc.property(which, which, (one, two) => {
      expect(hookEventId(...one) === hookEventId(...two)).toBe(JSON.stringify(one) === JSON.stringify(two));
    }),
  );
});

it('the end of a hook is told in one line', () => {
  expect(describeHookExit({ kind: 'exited', code: 2 }, 'a\nb\n\n')).toBe('exit 2: b');
  expect(describeHookExit({ kind: 'timeout', afterMs: 600_000 }, '')).toBe('stopped after 600 s');
});

it('a file expires when its time is over, unless its hook has still to run', async () => {
  const shelf = await makeShelf();
  const session = await readSession(shelf);
  await shelf.remove();
  const task = session.tasks.get(1);
  if (task?.state.kind !== 'finished') throw new Error('not finished');
  const { state } = task;
  const asOf = (change: Partial<Task>): Session => ({ ...session, tasks: new Map([[1, { ...task, ...change }]]) });
  const end = state.expiresAt ?? 0;
  expect(expiredTasks(session, end - 1)).toEqual([]);
  expect(expiredTasks(session, end)).toHaveLength(1);
  expect(expiredTasks(asOf({ state: { ...state, expiresAt: null } }), end)).toEqual([]);
  expect(expiredTasks(asOf({ state: { ...state, kind: 'claimed', path: '/x', by: 'claim' } }), end)).toEqual([]);
  const hooks: [HookState, number][] = [
    [{ kind: 'due', failures: 1, notBefore: 0 }, 0],
    [{ kind: 'running', failures: 0 }, 0],
    [{ kind: 'gave-up', message: '', at: 0 }, 1],
  ];
  for (const [hook, expired] of hooks) expect(expiredTasks(asOf({ hook }), end)).toHaveLength(expired);
});

it.each(['hook', 'claim'] as const)('#61 a turn of a %s that could not be given back is given back when it can, by the same process', async (by) => {
  const shelf = await makeShelf();
  const handle = await open(shelf.root);
  await handle.close();
  const broken = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'datasync');
  try {
    const request = { task: 1, by, eventId: null, move: null, insideHook: null };
    const first = await takeTurn(shelf.paths, request, 0);
    await first.giveUp();
    // The second: the number of the first may have been judged, so that this one is marked as over instead of removed.
    const turn = await takeTurn(shelf.paths, request, 0);
    broken.mockRejectedValueOnce(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
    await expect(turn.release()).rejects.toMatchObject({ code: 'EMFILE' });
    await expect(takeTurn(shelf.paths, request, 0)).rejects.toMatchObject({ code: 'timeout' });
    await (await takeTurn(shelf.paths, request, 10_000)).release();
  } finally {
    broken.mockRestore();
    await shelf.remove();
  }
});
