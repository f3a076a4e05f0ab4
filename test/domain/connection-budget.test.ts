import { expect, test } from 'vitest';
import { allowedConnections, allowedDownloads, NOTHING_HELD, parseBudget, type Held } from '../../src/domain/connection-budget.js';

/** Downloads of one server that each take as many connections as they may, one after the other, until nothing changes. */
function settled(budget: number, downloads: number): number[] {
  const held = Array.from({ length: downloads }, () => 1);
  for (let round = 0; round < 50; round += 1) {
    for (const index of held.keys()) {
      const others: Held = { downloads: downloads - 1, connections: held.reduce((sum, count) => sum + count, 0) - (held[index] ?? 0) };
      held[index] = allowedConnections(budget, others);
    }
  }
  return held;
}

test('one download may have the whole budget; several that want all they can get come to equal shares', () => {
  expect(settled(16, 1)).toEqual([16]);
  expect(settled(16, 2)).toEqual([8, 8]);
  for (const downloads of [3, 5, 7, 16]) {
    const held = settled(16, downloads);
    expect(held.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(16);
    expect(Math.min(...held)).toBeGreaterThanOrEqual(Math.floor(16 / downloads));
  }
  expect(settled(16, 20)).toEqual(Array.from({ length: 20 }, () => 1));
});

test('what others leave is there for whoever finds that it helps', () => {
  expect(allowedConnections(16, { downloads: 3, connections: 3 })).toBe(13);
  expect(allowedConnections(4, NOTHING_HELD)).toBe(4);
});

test('six downloads of a server over all sessions, more when it is asked for; each session has one', () => {
  const elsewhere = (downloads: number): Held => ({ downloads, connections: downloads });
  expect(allowedDownloads(16, 3, NOTHING_HELD)).toBe(6);
  expect(allowedDownloads(16, 3, elsewhere(4))).toBe(2);
  expect(allowedDownloads(16, 3, elsewhere(9))).toBe(1);
  expect(allowedDownloads(16, 12, elsewhere(4))).toBe(8);
  expect(allowedDownloads(16, 64, NOTHING_HELD)).toBe(16);
});

test('the budget is a number of connections; anything else is said', () => {
  expect(parseBudget({})).toBe(16);
  expect(parseBudget({ POSTE_CONNECTIONS_PER_HOST: '4' })).toBe(4);
  for (const text of ['0', '-1', 'many', '1.5', '1000']) expect(() => parseBudget({ POSTE_CONNECTIONS_PER_HOST: text })).toThrow(/from 1 to 999/);
});
