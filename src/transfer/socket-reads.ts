import type { OnReadOpts, Socket } from 'node:net';

/**
 * How much a connection takes at a time. Node's own reads of 64 KiB take half of a fast download's time: 1 GiB over loopback through undici costs
 * 2.2 CPU s with them, 1.6 with 128 KiB (Node 20.20, undici 7.30); these take a tenth less again.
 */
const READ_BYTES = 256 * 1024;
/** A rate is as even as the pieces that it lets through are small. */
const LIMITED_BYTES = 16 * 1024;

/** So many bytes were read into a buffer, for those that may be used again. */
const filled = new WeakMap<ArrayBufferLike, number>();
const spare: Buffer[] = [];
/** One for each of as many connections as a download has. */
const MOST_SPARE = 16;

/**
 * Whoever calls it has done with `chunk` for good: a read may go into its buffer next. One that was not all that was read into its buffer is
 * left alone, since others may have the rest.
 */
export function recycle(chunk: Buffer): void {
  const { buffer, byteOffset, length } = chunk;
  if (byteOffset !== 0 || filled.get(buffer) !== length || spare.length >= MOST_SPARE) return;
  filled.delete(buffer);
  spare.push(Buffer.from(buffer));
}

/** For the options that a connection is made with. */
export function socketReads(isLimited: () => boolean): { readonly onread: OnReadOpts } {
  let again: Uint8Array | null = null;
  return {
    onread: {
      buffer: () => {
        const bytes = isLimited() ? LIMITED_BYTES : READ_BYTES;
        const buffer = again?.length === bytes ? again : ((bytes === READ_BYTES ? spare.pop() : null) ?? Buffer.allocUnsafeSlow(bytes));
        again = null;
        return buffer;
      },
      // Called as a method of the socket, and then the next buffer is asked for.
      callback(this: Socket, length: number, buffer: Uint8Array): boolean {
        if (length > buffer.length / 2) {
          if (buffer.length === READ_BYTES) filled.set(buffer.buffer, length);
          return this.push(buffer.subarray(0, length));
        }
        // What a slow connection brings is copied, so that a few bytes do not hold on to a whole buffer.
        again = buffer;
        return this.push(Buffer.from(buffer.subarray(0, length)));
      },
    },
  };
}
