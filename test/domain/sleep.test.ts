import { describe, expect, it } from 'vitest';
import { clocksDisagree } from '../../src/domain/sleep.js';

describe('#44 a wake from sleep', () => {
  it.each([
    ['time that passed on both clocks', 60_000, 60_000, false],
    ['a busy machine or a stopped process', 3_600_000, 3_600_000, false],
    ['a clock that is being corrected', 62_000, 60_000, false],
    ['a sleep of a minute', 65_100, 5000, true],
    ['a clock set back a day', -86_400_000, 5000, true],
  ])('%s', (_name, wall, monotonic, woke) => {
    expect(clocksDisagree({ wall: 1e12, monotonic: 7 }, { wall: 1e12 + wall, monotonic: 7 + monotonic })).toBe(woke);
  });
});
