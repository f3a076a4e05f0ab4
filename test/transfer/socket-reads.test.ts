import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { recycle, socketReads } from '../../src/transfer/socket-reads.js';

const { onread } = socketReads(() => false);
const nextBuffer = (): Uint8Array => (typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer);

/** What a read of `length` bytes into `buffer` hands to the socket. */
function read(buffer: Uint8Array, length: number): Buffer {
  let handed: Buffer = Buffer.alloc(0);
  const socket = { push: (chunk: Buffer) => ((handed = chunk), true) };
  onread.callback.call(socket as unknown as Socket, length, buffer);
  return handed;
}

test('a buffer is read into again when all that was read into it is done with, and not before', () => {
  const buffer = nextBuffer();
  const isBack = (): boolean => nextBuffer().buffer === buffer.buffer;
  const chunk = read(buffer, buffer.length - 1000);
  expect(chunk.buffer === buffer.buffer).toBe(true);
  // Others may have the rest of it: the head of an answer, the next piece of a chunked one.
  for (const piece of [chunk.subarray(0, -1), chunk.subarray(1), Buffer.from(chunk)]) recycle(piece);
  expect(isBack()).toBe(false);
  recycle(chunk);
  // Twice by mistake is once.
  recycle(chunk);
  expect([isBack(), isBack()]).toEqual([true, false]);
});

test('what is short is copied, and the next read goes into the same buffer', () => {
  const buffer = nextBuffer();
  expect(read(buffer, 1000).buffer === buffer.buffer).toBe(false);
  expect(nextBuffer() === buffer).toBe(true);
});
