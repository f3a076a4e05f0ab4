import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { eventText } from '../../src/cli/event-text.js';
import { DEFAULT_SETTINGS, type EventBody } from '../../src/domain/events.js';
import { coveredBytes, type Extent } from '../../src/domain/segments.js';
import type { NewTask, Request } from '../../src/domain/requests.js';
import { eventJson } from '../../src/session/event-json.js';
import { extentLine, formatRecord, parseRecord, type ExtentLine, type PartHeader } from '../../src/store/extents.js';
import { serving } from '../../src/delivery/serving.js';
import { submit, takeAnswer } from '../../src/store/inbox.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { openOwned, serveInbox } from '../../src/store/owned-session.js';
import { take } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import { seal, unseal } from '../../src/store/sealed.js';
import { addedTask, CREATED, finished, foldOf, specOf } from '../support/sessions.js';
import { anyText, expectInert, fuzz, hostileText } from './fuzz.js';

const BODIES: readonly EventBody[] = [CREATED, addedTask(1), addedTask(2), ...finished(1), { type: 'task.paused', task: 2 }, { type: 'task.claimed', task: 1, path: '/d', by: 'claim' }];
/** What this journal should say, whatever lies between its lines. */
const LINES = BODIES.map((body, index) => line(body, index, 'a1b2'));
const EXPECTED = foldOf(BODIES).session;

function line(body: EventBody, index: number, mark: string): string {
  const record = { v: 2, seq: index + 1, gen: 1, time: new Date(index + 1).toISOString(), ...body };
  return body.type === 'session.created' ? seal({ ...record, mark }) : seal(record, mark);
}

/** Never one that a journal has. */
const rubbish: fc.Arbitrary<string> = fc.oneof(
  anyText('{', '}', '"crc":"', '"v":2', ',', '"type":"task.claimed"', '\0'),
  // Torn, and torn with the rest of another behind it.
  fc.tuple(fc.constantFrom(...LINES), fc.nat(60), fc.constantFrom('', ...LINES)).map(([line, cut, other]) => line.slice(0, -1 - cut) + other.slice(cut + 1)),
  // Whole, and of no use: of another kind, or less than an event.
  fc.jsonValue({ maxDepth: 2 }).map((value) => seal({ value }, 'a1b2')),
  fc.record({ seq: fc.jsonValue({ maxDepth: 0 }), time: anyText('2026-01-01T00:00:00Z') }).map(({ seq, time }) => seal({ v: 2, seq, gen: 'x', time, type: 'task.cancelled', task: 2 }, 'a1b2')),
  fc.constantFrom(...LINES).map((line) => line.replace('"v":2', '"v":0')),
  // Of another journal, or of one from before there was a mark.
  fc.tuple(fc.nat(BODIES.length - 2), fc.constantFrom('', 'c3d4')).map(([index, mark]) => line(BODIES[index + 1] ?? CREATED, index + 1, mark)),
).map((text) => text.replaceAll('\n', ' '));

describe('a journal', () => {
  fuzz('#65 says the same whatever rubbish lies between its lines, and counts it', 60, [fc.array(fc.array(rubbish, { maxLength: 3 }), { minLength: LINES.length, maxLength: LINES.length })], async (between) => {
    const dir = await mkdtemp(join(tmpdir(), 'poste-fuzz-'));
    try {
      const path = join(dir, 'journal.ndjson');
      await writeFile(path, LINES.flatMap((line, index) => [...(between[index] ?? []), line]).map((line) => `${line}\n`).join(''));
      const reader = new JournalReader(path);
      const events = await reader.poll();
      expect(reader.session).toEqual(EXPECTED);
      expect(events.length + (reader.damage?.lines ?? 0)).toBe(LINES.length + between.flat().length);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  const odd = fc.record({ type: fc.constantFrom('task.archived', 'session.moved', 'x'), task: fc.oneof(fc.constantFrom(1, 2), fc.jsonValue({ maxDepth: 1 })), time: anyText('2026-01-01T00:00:00.000Z') });
  fuzz('#49 #65 with events of kinds that nobody knows yet can be read and shown', 60, [fc.array(odd, { maxLength: 5 })], async (events) => {
    const dir = await mkdtemp(join(tmpdir(), 'poste-fuzz-'));
    try {
      const path = join(dir, 'journal.ndjson');
      await writeFile(path, [...LINES, ...events.map((event, index) => seal({ v: 2, seq: 100 + index, gen: 1, ...event }, 'a1b2'))].map((line) => `${line}\n`).join(''));
      const reader = new JournalReader(path);
      const read = await reader.poll();
      expect(read.length + (reader.damage?.lines ?? 0)).toBe(LINES.length + events.length);
      for (const event of read) {
        expectInert(eventText(event));
        expect(eventText(event)).not.toContain('undefined');
        JSON.stringify(eventJson(event));
      }
      expect(reader.session?.tasks).toEqual(EXPECTED?.tasks);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  fuzz('#65 a sealed line is whole or nothing', 300, [anyText('"crc":"', '"}', ',', '{"crc":"00000000"}')], (text) => {
    const value = unseal(text);
    if (value !== null) expect(unseal(seal(value))).toEqual(value);
    expect(unseal(seal({ text }))).toEqual({ text });
  });
});

const HEADER = { total: 1000, changes: 0 } as unknown as PartHeader;
const pairOf = fc.tuple(fc.nat(999), fc.nat(999)).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b) + 1]);
const written = fc.array(fc.oneof({ arbitrary: pairOf.map((w): ExtentLine => ({ w })), weight: 6 }, fc.constant<ExtentLine>({ back: true }), pairOf.map((c): ExtentLine => ({ c }))), { maxLength: 12 });

describe('an extents file', () => {
  fuzz('#65 never claims a byte that was not written, however it is torn or spoilt', 500, [written, fc.constantFrom('', 'a1b2'), fc.nat(2000), anyText(), fc.nat(1200)], (lines, mark, cut, tail, length) => {
    const text = [{ v: 1, boot: 'b', part: HEADER }, ...lines].map((line) => extentLine(line, mark)).join('');
    const record = parseRecord(text.slice(0, cut) + tail, 'b', length);
    if (record === null) return;
    const everWritten = lines.flatMap((line) => ('w' in line ? [line.w] : []));
    for (const { start, end } of record.written) {
      expect(start < end && end <= length).toBe(true);
      for (let at = start; at < end; at += 1) if (!everWritten.some(([from, to]) => from <= at && at < to)) throw new Error(`byte ${at} was never written`);
    }
    expectOrder(record.written);
    // Nothing was synced: after a power cut, nothing counts.
    expect(coveredBytes(parseRecord(text, 'another boot', length)?.written ?? [])).toBe(0);
    const again = parseRecord(formatRecord(record, 'b'), 'b', length);
    expect(again).toEqual(record);
  });
});

function expectOrder(extents: readonly Extent[]): void {
  extents.forEach(({ start }, index) => expect(start).toBeGreaterThan(extents[index - 1]?.end ?? -1));
}

const task: NewTask = { spec: specOf(), secrets: {}, paused: true, forceNew: false };
const ADD: Request = { kind: 'add', tasks: [task], settings: DEFAULT_SETTINGS, temp: null, defaultTemp: '/nowhere', cwd: '/' };
const text = (request: unknown, v: unknown = 1): string => seal({ v, request });
/** Nothing that any command of this version writes. */
const request = fc.oneof(
  anyText('{', '"kind":"add"'),
  fc.nat(100).map((cut) => text(ADD).slice(0, -1 - cut)),
  fc.jsonValue().map((value) => text(value)),
  fc.jsonValue({ maxDepth: 0 }).filter((version) => version !== 1).map((version) => text(ADD, version)),
  fc.constantFrom('constructor', 'archive', '', 'toString').map((kind) => text({ kind, names: [] })),
  fc.constantFrom('pause', 'resume', 'cancel', 'retry', 'set', 'claimed', 'forget', 'add').map((kind) => text({ kind })),
  fc.tuple(hostileText(), hostileText()).map(([name, other]) => text({ kind: 'pause', names: [name, other, 'nobody'] })),
);

describe('the inbox', () => {
  fuzz('#65 whatever lies there is answered and taken away, and what was asked properly is done', 12, [fc.array(request, { minLength: 1, maxLength: 6 })], async (files) => {
    const home = await mkdtemp(join(tmpdir(), 'poste-fuzz-'));
    try {
      const paths = sessionPaths(home, 's');
      const good = await submit(paths, ADD);
      const taken = await take(paths, 'worker', '1');
      if (taken.kind !== 'taken') throw new Error('nobody else is there');
      const owned = await openOwned('s', paths, taken.ownership, null);
      // After the good one: a session is there when they are read.
      const ids = files.map((_, index) => `later-${index}`);
      await Promise.all(files.map((content, index) => writeFile(join(paths.inbox, `${ids[index]}.json`), content)));
      expect(await serveInbox(owned, serving(owned))).toBe(true);
      expect(await readdir(paths.inbox)).toEqual([]);
      for (const id of ids) {
        const answer = await takeAnswer(paths, id);
        expect(answer).toMatchObject({ ok: false });
        if (answer?.ok === false) expectInert(`${answer.error.message} ${answer.error.hint ?? ''}`);
      }
      expect(await takeAnswer(paths, good)).toMatchObject({ ok: true, tasks: [1] });
      expect([...(owned.journal.session?.tasks.keys() ?? [])]).toEqual([1]);
      await owned.journal.close();
      await owned.ownership.release();
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
