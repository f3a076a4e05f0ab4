import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addExtent, bytesBefore, clipExtents, coveredBytes, gapsOf, laggard, nextStretch, overlapStart, type Extent, type Helper, type Stretch } from '../../src/domain/segments.js';

const SIZE = 200;
const extent = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]): Extent => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const list = fc.array(extent, { maxLength: 12 });

function bits(extents: readonly Extent[]): boolean[] {
  return Array.from({ length: SIZE }, (_, at) => extents.some(({ start, end }) => start <= at && at < end));
}

test('extents say exactly which bytes were added, sorted and merged', () => {
  fc.assert(
    fc.property(list, (added) => {
      const extents = added.reduce<readonly Extent[]>(addExtent, []);
      expect(bits(extents)).toEqual(bits(added));
      expect(coveredBytes(extents)).toBe(bits(added).filter(Boolean).length);
      for (const [index, { start, end }] of extents.entries()) {
        expect(start).toBeLessThan(end);
        expect(start).toBeGreaterThan(extents[index - 1]?.end ?? -1);
      }
    }),
  );
});

test('gaps and extents together are the whole file, once', () => {
  fc.assert(
    fc.property(list, fc.nat(SIZE), (added, total) => {
      const extents = clipExtents(added.reduce<readonly Extent[]>(addExtent, []), total);
      const gaps = gapsOf(extents, total).map(({ start, end }) => ({ start, end: end ?? Number.NaN }));
      expect(coveredBytes(extents) + coveredBytes(gaps)).toBe(total);
      expect([...extents, ...gaps].reduce<readonly Extent[]>(addExtent, [])).toEqual(total === 0 ? [] : [{ start: 0, end: total }]);
      expect(gapsOf(extents, null).at(-1)?.end).toBe(null);
    }),
  );
});

const MIB = 1 << 20;
const LEAST = 128 * 1024;
const alone: Helper = { bytesPerSecond: null, others: 0, answerSeconds: 1 };
const speed = fc.option(fc.integer({ min: 0, max: 20 * MIB }));

test('whatever connections are at, a free one gets bytes that are missing and nobody else fetches, until it is not worth it', () => {
  fc.assert(
    fc.property(list, fc.array(fc.tuple(speed, fc.nat(100)), { maxLength: 15 }), fc.nat(15), fc.double({ min: 0, max: 3, noNaN: true }), (added, speeds, others, answerSeconds) => {
      const total = SIZE * MIB;
      const extents = clipExtents(added.reduce<readonly Extent[]>(addExtent, []).map(({ start, end }) => ({ start: start * MIB, end: end * MIB })), total);
      const busy: Stretch[] = [];
      for (const [bytesPerSecond, percent] of speeds) {
        const next = nextStretch(extents, total, busy, { bytesPerSecond: null, others, answerSeconds });
        if (next === null) return;
        const victim = next.of === null ? undefined : busy[next.of];
        if (victim !== undefined && next.of !== null) {
          expect(next.end).toBeLessThanOrEqual(victim.end);
          expect(next.start - victim.position).toBeGreaterThanOrEqual(LEAST);
          expect(next.end - next.start).toBeGreaterThanOrEqual(LEAST);
          busy[next.of] = { ...victim, end: next.start };
        } else expect(gapsOf([...extents, ...busy].reduce<readonly Extent[]>(addExtent, []), total).some((gap) => gap.start === next.start && (gap.end ?? total) >= next.end)).toBe(true);
        const { start, end } = next;
        busy.push({ start, position: start + Math.floor(((end - start) * percent) / 100), end, bytesPerSecond });
        const both = [...extents, ...busy];
        expect(coveredBytes(both.reduce<readonly Extent[]>(addExtent, []))).toBe(coveredBytes(both));
      }
      const isWhole = coveredBytes([...extents, ...busy].reduce<readonly Extent[]>(addExtent, [])) === total;
      if (nextStretch(extents, total, busy, { bytesPerSecond: null, others, answerSeconds }) === null) expect(isWhole).toBe(true);
    }),
  );
});

const at = (position: number, end: number, bytesPerSecond: number | null): Stretch => ({ start: 0, position: position * MIB, end: end * MIB, bytesPerSecond });

test('what is left is shared so that all end together, and not where that would bring little', () => {
  const slow = at(0, 20, MIB);
  const fast = { ...at(20, 30, 9 * MIB), start: 20 * MIB };
  // 30 MiB, of which 1, 9, and 5 MiB/s for the newcomer, take two seconds.
  expect(nextStretch([], 30 * MIB, [slow, fast], alone)).toEqual({ start: 2 * MIB, end: 12 * MIB, of: 0 });
  expect(nextStretch([], 100 * MIB, [at(97, 100, 9 * MIB)], alone)).toBe(null);
  expect(nextStretch([], 100 * MIB, [at(97, 100, 9 * MIB)], { ...alone, answerSeconds: 0.01 })).toEqual({ start: 98.5 * MIB, end: 100 * MIB, of: 0 });
  // One byte a millisecond: what is left takes it a quarter of an hour.
  expect(nextStretch([], 100 * MIB, [at(99, 100, 1000)], alone)?.of).toBe(0);
  expect(nextStretch([], 100 * MIB, [{ ...at(99, 100, 1000), position: 100 * MIB - LEAST }], alone)).toBe(null);
});

test('those that begin at the same moment get as much each', () => {
  const busy = [at(10, 90, 40 * MIB)];
  for (let others = 14; others >= 0; others -= 1) {
    const next = nextStretch([], 90 * MIB, busy, { ...alone, others, answerSeconds: 0 });
    if (next === null) throw new Error('nothing is left');
    if (next.of !== null) busy[next.of] = { ...at(10, 90, 40 * MIB), end: next.start };
    busy.push({ start: next.start, position: next.start, end: next.end, bytesPerSecond: null });
  }
  for (const { position, end } of busy) expect((end - position) / MIB).toBeGreaterThan(4.5);
});

test('while there is plenty, each takes a few seconds of it from the front; towards the end, as much as makes all end together', () => {
  const total = 1000 * MIB;
  const one = at(10, 1000, 10 * MIB);
  expect(nextStretch([], total, [one], alone)).toEqual({ start: 30 * MIB, end: 50 * MIB, of: 0 });
  const two = [at(10, 30, 10 * MIB), { ...at(30, 50, null), start: 30 * MIB }];
  expect(nextStretch([], total, two, alone)).toEqual({ start: 50 * MIB, end: 70 * MIB, of: null });
  expect(nextStretch([], total, two, { ...alone, bytesPerSecond: 30 * MIB })).toEqual({ start: 50 * MIB, end: 110 * MIB, of: null });
  const [first, second] = two;
  if (first === undefined || second === undefined) throw new Error('there are two');
  // 60 MiB for three at 10 MiB/s each, then 10 for one of three.
  expect(nextStretch([], 60 * MIB, [{ ...first, position: 20 * MIB }, second], alone)).toEqual({ start: 50 * MIB, end: 60 * MIB, of: null });
  expect(nextStretch([], 62 * MIB, [{ ...first, position: 25 * MIB }, { ...second, position: 43 * MIB }], alone)).toEqual({ start: 50 * MIB, end: 58 * MIB, of: null });
});

test('one far slower than its siblings is found, when what it has left is worth it', () => {
  const usual = [at(0, 100, 10 * MIB), at(0, 100, 8 * MIB), at(0, 100, 9 * MIB)];
  expect(laggard([...usual, at(0, 100, MIB)])).toBe(3);
  expect(laggard([...usual, at(0, 100, 3 * MIB)])).toBe(null);
  expect(laggard([...usual, at(98, 100, MIB)])).toBe(null);
  expect(laggard([...usual, at(0, 100, null)])).toBe(null);
  expect(laggard([at(0, 100, 10 * MIB), at(0, 100, MIB)])).toBe(null);
});

test('the overlap is at most 64 KiB of bytes that are here, and never asks for byte N of N', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300_000 }), fc.option(fc.tuple(fc.nat(300_000), fc.nat(300_000))), fc.boolean(), (have, pair, open) => {
      const extents = have === 0 ? [] : [{ start: 0, end: have }];
      const compared = pair === null ? null : { start: Math.min(...pair), end: Math.max(...pair) };
      const start = overlapStart(extents, compared, { start: have, end: open ? null : have + 10 });
      expect(start).toBeLessThanOrEqual(have);
      expect(start).toBeGreaterThanOrEqual(Math.max(0, have - 65_536));
      if (open && have > 0) expect(start).toBeLessThan(have);
      expect(have - start).toBeGreaterThanOrEqual(Math.min(have, 1024));
      if (compared === null) expect(start).toBe(Math.max(0, have - 65_536));
      expect(have - start).toBeLessThanOrEqual(bytesBefore(extents, have));
    }),
  );
});
