import { createCipheriv, createHash } from 'node:crypto';

/** `size` bytes that look random and are the same for the same seed, whenever and wherever they are made. */
export function content(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** Another version of `base`: same size, equal up to `from`, every byte different from there on. */
export function altered(base: Buffer, from: number): Buffer {
  const other = Buffer.from(base);
  for (let at = from; at < other.length; at += 1) other[at] = (other[at] ?? 0) ^ 0xff;
  return other;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
