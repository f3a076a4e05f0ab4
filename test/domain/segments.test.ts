import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addExtent, bytesBefore, clipExtents, coveredBytes, gapsOf, overlapStart, planSegments, type Extent } from '../../src/domain/segments.js';

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

test('a plan asks for missing bytes only, for none twice, on as many connections as allowed', () => {
  fc.assert(
    fc.property(list, fc.integer({ min: 1, max: 16 }), (added, connections) => {
      const scale = 1_000_000;
      const extents = added.reduce<readonly Extent[]>(addExtent, []).map(({ start, end }) => ({ start: start * scale, end: end * scale }));
      const plan = planSegments(extents, SIZE * scale, connections);
      expect(plan.length).toBeLessThanOrEqual(connections);
      expect(plan.length > 0).toBe(gapsOf(extents, SIZE * scale).length > 0);
      const asked = plan.map(({ start, end }) => ({ start, end: end ?? Number.NaN }));
      const both = [...extents, ...asked];
      expect(coveredBytes(both.reduce<readonly Extent[]>(addExtent, []))).toBe(coveredBytes(both));
    }),
  );
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
