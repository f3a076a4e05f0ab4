import { describe, expect, it } from 'vitest';
import { parseBackoff, parsePolicyTimes } from '../../src/domain/policy-times.js';

describe('POSTE_POLICY_POLL and POSTE_POLICY_HOLD', () => {
  it('are 5 s and 10 s when nothing is set', () => {
    expect(parsePolicyTimes({})).toEqual({ pollMs: 5000, holdMs: 10_000 });
    expect(parsePolicyTimes({ POSTE_POLICY_POLL: '', POSTE_POLICY_HOLD: '' })).toEqual({ pollMs: 5000, holdMs: 10_000 });
  });

  it('take seconds and fractions of them', () => {
    expect(parsePolicyTimes({ POSTE_POLICY_POLL: '0.1', POSTE_POLICY_HOLD: '0' })).toEqual({ pollMs: 100, holdMs: 0 });
    expect(parsePolicyTimes({ POSTE_POLICY_POLL: '.25', POSTE_POLICY_HOLD: '3' })).toEqual({ pollMs: 250, holdMs: 3000 });
  });

  it.each(['soon', '5s', '-1', 'NaN', 'Infinity', '1e9', '0x10', '99999', ' 1', '0'])('refuses to look every %j seconds', (text) => {
    expect(() => parsePolicyTimes({ POSTE_POLICY_POLL: text })).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('POSTE_BACKOFF', () => {
  it('is 1 s when nothing is set, and takes fractions', () => {
    expect(parseBackoff({})).toBe(1000);
    expect(parseBackoff({ POSTE_BACKOFF: '0.05' })).toBe(50);
  });

  it.each(['soon', '0', '-1'])('refuses %j', (text) => {
    expect(() => parseBackoff({ POSTE_BACKOFF: text })).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
