import { expect, test } from 'vitest';
import { Seams, TAIL_BYTES } from '../../src/transfer/seams.js';
import { content } from '../support/content.js';

const bytes = content('seam', 2 * TAIL_BYTES);
const OFFSET = 1_000_000;

test('whoever comes to a seam first, the other one must bring the same, as far as both have come', () => {
  const seams = new Seams();
  expect(seams.agree('before', OFFSET, OFFSET, bytes.subarray(0, 5000))).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET, bytes.subarray(0, 9000))).toBe(true);
  expect(seams.agree('before', OFFSET, OFFSET + 5000, bytes.subarray(5000, 12_000))).toBe(true);
  const other = Buffer.from(bytes);
  other[11_999] = (other[11_999] ?? 0) ^ 1;
  expect(seams.agree('behind', OFFSET, OFFSET + 9000, other.subarray(9000, 11_999))).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET + 11_999, other.subarray(11_999))).toBe(false);
});

test('what lies beyond is nobody’s business, nor is a seam where nothing was brought', () => {
  const seams = new Seams();
  expect(seams.agree('behind', OFFSET, OFFSET + 7, bytes)).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET, Buffer.alloc(0))).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET, bytes)).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET + TAIL_BYTES, Buffer.alloc(10))).toBe(true);
  expect(seams.agree('behind', OFFSET, OFFSET + TAIL_BYTES - 1, Buffer.alloc(10, (bytes[TAIL_BYTES - 1] ?? 0) ^ 1))).toBe(false);
});

test('one side that comes twice does not end a seam before the other one has come', () => {
  const seams = new Seams();
  expect([bytes, bytes].map((all) => seams.agree('behind', OFFSET, OFFSET, all))).toEqual([true, true]);
  expect(seams.agree('before', OFFSET, OFFSET, Buffer.alloc(10))).toBe(false);
});
