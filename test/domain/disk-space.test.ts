import { expect, test } from 'vitest';
import { checkRoom, diskReserve } from '../../src/domain/disk-space.js';

const MIB = 1 << 20;

test.each([
  ['a tiny one keeps a sixteenth', MIB, MIB / 16],
  ['from 16 MiB on it is 1 MiB', 16 * MIB, MIB],
  ['then 1 %', 1000 * MIB, 10 * MIB],
  ['and never more than 64 MiB', 1e13, 64 * MIB],
  ['nothing has nothing', 0, 0],
])('of a file system, %s', (_, total, reserve) => {
  expect(diskReserve(total)).toBe(reserve);
});

const room = { free: 10 * MIB, reserve: MIB, needed: 4 * MIB, others: 5 * MIB };

test('what fits beside all that is still to come goes on, and not a byte more', () => {
  expect(() => checkRoom(room)).not.toThrow();
  expect(() => checkRoom({ ...room, others: room.others + 1 })).toThrow(
    '4.0 MiB are still to come, other downloads there 5.0 MiB, and 10.0 MiB are free, of which 1.0 MiB stay free',
  );
  expect(() => checkRoom({ ...room, free: 4 * MIB, others: 0 })).toThrow('4.0 MiB are still to come, and 4.0 MiB are free, of which 1.0 MiB stay free');
});

test('what has all its bytes needs no room', () => {
  expect(() => checkRoom({ ...room, needed: 0, free: 0 })).not.toThrow();
});
