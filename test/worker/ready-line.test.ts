import { expect, test } from 'vitest';
import type { Task } from '../../src/domain/task.js';
import { ReadyLine } from '../../src/worker/ready-line.js';
import { addedTask, CREATED, foldOf } from '../support/sessions.js';

/** Tasks 1, 2, … of these servers. */
function tasksOf(...servers: readonly string[]): Task[] {
  const events = servers.map((server, index) => addedTask(index + 1, { url: `https://${server}.example.org/${index}` }));
  return [...(foldOf([CREATED, ...events]).session?.tasks.values() ?? [])];
}

/** So many places, and one at each server: answers which tasks get one, in order, and how many were asked. */
function offerPlaces(line: ReadyLine, places: number, busy: Set<string>): { taken: number[]; asked: number } {
  const taken: number[] = [];
  let asked = 0;
  line.offer(({ number, spec }) => {
    asked += 1;
    const { host } = new URL(spec.url);
    if (taken.length === places) return 'kept';
    if (busy.has(host)) return 'passed';
    busy.add(host);
    taken.push(number);
    return 'taken';
  });
  return { taken, asked };
}

test('those behind a full server get the places that it has no use for', () => {
  const line = new ReadyLine(tasksOf('a', 'a', 'a', 'b', 'c', 'b'));
  expect(offerPlaces(line, 3, new Set()).taken).toEqual([1, 4, 5]);
});

test('a task that was passed over comes before all that stand behind it, and the rest of its server follow in order', () => {
  const line = new ReadyLine(tasksOf('a', 'b', 'a', 'b', 'c', 'a', 'c', 'b'));
  const busy = new Set(['a.example.org', 'b.example.org']);
  expect(offerPlaces(line, 1, busy).taken).toEqual([5]);
  expect(offerPlaces(line, 1, new Set()).taken).toEqual([1]);
  const order = [1, 2, 3, 4, 5].map(() => offerPlaces(line, 1, new Set()).taken[0]);
  expect(order).toEqual([2, 3, 4, 6, 7]);
  expect([offerPlaces(line, 1, new Set()).taken, offerPlaces(line, 1, new Set()).taken]).toEqual([[8], []]);
});

test('100 000 tasks of a full server are passed over once, not for each file of the others', () => {
  const line = new ReadyLine(tasksOf(...Array.from({ length: 100_000 }, () => 'a'), ...Array.from({ length: 100 }, () => 'b')));
  const asked = Array.from({ length: 100 }, () => offerPlaces(line, 1, new Set(['a.example.org'])));
  expect(asked.map(({ taken }) => taken[0])).toEqual(Array.from({ length: 100 }, (_, index) => 100_001 + index));
  expect(Math.max(...asked.map((each) => each.asked))).toBeLessThan(5);
});
