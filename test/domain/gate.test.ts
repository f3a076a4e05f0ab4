import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConditionVerdict } from '../../src/domain/conditions.js';
import { conditionReasons, nextGate, type Gate } from '../../src/domain/gate.js';
import type { Reason } from '../../src/domain/task.js';

const HOUR = 3_600_000;
const HOLD = 10_000;

/** The gate after verdicts at the given times. */
function after(...verdicts: readonly [at: number, met: boolean][]): Gate | null {
  let gate: Gate | null = null;
  for (const [at, met] of verdicts) gate = nextGate(gate, met, at, HOLD);
  return gate;
}

describe('a transfer starts and stops when its conditions have lasted', () => {
  it('starts after 10 s of good conditions, also the first time, and says when', () => {
    expect(after([0, true])).toMatchObject({ open: false, changesAt: HOLD });
    expect(after([0, true], [9999, true])).toMatchObject({ open: false, changesAt: HOLD });
    expect(after([0, true], [HOLD, true])).toMatchObject({ open: true, changesAt: null });
  });

  it('rides out a bad moment, and stops after 10 s of them', () => {
    expect(after([0, true], [10_000, true], [15_000, false], [24_999, false])).toMatchObject({ open: true, changesAt: 25_000 });
    const recovered = after([0, true], [10_000, true], [15_000, false], [20_000, true], [26_000, false]);
    expect(recovered).toMatchObject({ open: true, changesAt: 36_000 });
    expect(after([0, true], [10_000, true], [15_000, false], [25_000, false])).toMatchObject({ open: false });
  });

  it('without a hold time it follows at once', () => {
    const open = nextGate(null, true, 5, 0);
    expect(open.open).toBe(true);
    expect(nextGate(open, false, 5, 0).open).toBe(false);
  });

  it('#44 a clock set back by a year keeps a good task waiting for an hour at most', () => {
    const year = 1e12 - 365 * 24 * HOUR;
    const steady = nextGate(after([1e12, true]), true, year, HOLD);
    expect(steady).toMatchObject({ open: false, changesAt: year + HOLD });
    let gate: Gate | null = null;
    for (let flip = 0; flip < 6; flip += 1) gate = nextGate(gate, flip % 2 === 0, 1e12 + flip, 0);
    expect(nextGate(gate, true, year, HOLD)).toMatchObject({ open: false, changesAt: year + HOUR });
  });
});

describe('whatever the conditions do', () => {
  const steps = fc.array(fc.tuple(fc.oneof(fc.integer({ min: 1, max: 30_000 }), fc.integer({ min: 1, max: HOUR })), fc.boolean()), {
    minLength: 1,
    maxLength: 300,
  });
  const holds = fc.constantFrom(0, 500, HOLD, 60_000);

  it('there are at most 6 flips in any hour; it opens and closes only on lasting verdicts, and closes without delay', () => {
    fc.assert(
      fc.property(steps, holds, (verdicts, holdMs) => {
        let gate: Gate | null = null;
        let now = 0;
        let steadySince = 0;
        let lastMet: boolean | null = null;
        const flips: number[] = [];
        for (const [wait, met] of verdicts) {
          now += wait;
          if (met !== lastMet) steadySince = now;
          lastMet = met;
          const wasOpen: boolean = gate?.open ?? false;
          gate = nextGate(gate, met, now, holdMs);
          const lasted = now - steadySince >= holdMs;
          if (gate.open !== wasOpen) {
            flips.push(now);
            expect(gate.open).toBe(met);
            expect(lasted).toBe(true);
          }
          if (!met && lasted) expect(gate.open).toBe(false);
        }
        for (const end of flips) expect(flips.filter((at) => at <= end && at > end - HOUR).length).toBeLessThanOrEqual(6);
      }),
      { numRuns: 500 },
    );
  });

  it('the time it names for its next change is the time at which it changes', () => {
    fc.assert(
      fc.property(steps, holds, (verdicts, holdMs) => {
        let gate: Gate | null = null;
        let now = 0;
        for (const [wait, met] of verdicts) {
          now += wait;
          gate = nextGate(gate, met, now, holdMs);
        }
        if (gate === null) return;
        if (gate.changesAt === null) {
          expect(nextGate(gate, gate.met, now + 2 * HOUR, holdMs).open).toBe(gate.open);
          return;
        }
        expect(gate.changesAt - now).toBeLessThanOrEqual(Math.max(HOUR, holdMs));
        expect(nextGate(gate, gate.met, gate.changesAt - 0.5, holdMs).open).toBe(gate.open);
        expect(nextGate(gate, gate.met, gate.changesAt, holdMs).open).toBe(!gate.open);
      }),
    );
  });
});

describe('status tells why a task waits', () => {
  const words = { code: 'power', message: 'on AC power' } as const;
  const good: ConditionVerdict = { met: true, unmet: [], held: { met: true, words } };
  const bad: ConditionVerdict = {
    met: false,
    unmet: [{ code: 'power', message: 'on battery (63 %), waiting for AC power' }],
    held: { met: false, words },
  };
  const reasons = (
    verdict: ConditionVerdict,
    gate: Gate | null,
    { running = false, now = 3000, notBefore = null }: { running?: boolean; now?: number; notBefore?: number | null } = {},
  ): Reason[] => conditionReasons({ verdict, gate, running, notBefore, now, pollMs: 5000, holdMs: HOLD });

  it('a condition that is not met, since when, and when it is looked at again', () => {
    const unmet = { code: 'power', message: 'on battery (63 %), waiting for AC power', since: 0, nextCheckAt: 8000 };
    expect(reasons(bad, after([0, false], [3000, false]))).toEqual([unmet]);
  });

  it('a condition that has not lasted yet', () => {
    const soon = { code: 'power', message: 'on AC power, starts when this has lasted for 10 s', since: 0, nextCheckAt: HOLD };
    expect(reasons(good, after([0, true], [3000, true]))).toEqual([soon]);
  });

  it('conditions that changed too often', () => {
    let gate: Gate | null = null;
    for (let flip = 0; flip < 6; flip += 1) gate = nextGate(gate, flip % 2 === 0, flip, 0);
    gate = nextGate(gate, true, 6, 0);
    expect(gate).toMatchObject({ open: false, changesAt: HOUR + 1 });
    expect(reasons(good, gate, { now: 6 })[0]?.message).toBe(
      'on AC power, changed too often in the last hour, starts at 1970-01-01T01:00:00.001Z',
    );
  });

  it('in the 10 s before it stops, a transfer goes on but none begins', () => {
    const gate = after([0, true], [HOLD, true], [12_000, false]);
    expect(reasons(bad, gate, { running: true, now: 12_000 })).toEqual([]);
    expect(reasons(bad, gate, { running: false, now: 12_000 })).toMatchObject([{ code: 'power' }]);
  });

  it('a task without conditions waits for nothing', () => {
    expect(reasons({ met: true, unmet: [], held: null }, null)).toEqual([]);
  });

  it('the network and the clock are not held, and stop a transfer at once', () => {
    const unmet = [
      { code: 'offline', message: 'offline, waiting for a network' },
      { code: 'not-before', message: 'not before noon' },
    ] as const;
    expect(reasons({ met: false, unmet, held: null }, null, { running: true, notBefore: 9_000_000 })).toEqual([
      { ...unmet[0], since: 3000, nextCheckAt: 8000 },
      { ...unmet[1], since: 3000, nextCheckAt: 9_000_000 },
    ]);
  });

  it('a time that has come since the last look holds nobody up', () => {
    const unmet = [{ code: 'not-before', message: 'not before noon' }] as const;
    const heldAt = (now: number): number => reasons({ met: false, unmet, held: null }, null, { running: false, notBefore: 5000, now }).length;
    expect([heldAt(4999), heldAt(5000)]).toEqual([1, 0]);
  });
});
