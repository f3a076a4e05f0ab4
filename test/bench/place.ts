import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, existsSync, rmSync } from 'node:fs';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Where files go: memory takes the disk's noise out. */
export const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** A disk, for what is about disks: `BENCH_DIR`, by default the system's folder for temporary files. */
export const DISK = process.env['BENCH_DIR'] ?? tmpdir();

export const MEBIBYTE = 1 << 20;
export const GIBIBYTE = 1 << 30;

/** `1 GiB`, `256 MiB`. */
export function inWords(bytes: number): string {
  return bytes >= GIBIBYTE ? `${Number((bytes / GIBIBYTE).toFixed(2))} GiB` : `${Number((bytes / MEBIBYTE).toFixed(1))} MiB`;
}

/** What a file must be. */
export interface Wanted {
  readonly size: number;
  readonly sha256: string;
}

const made = new Set<string>();
process.once('exit', () => {
  // Memory must not stay full because somebody pressed Ctrl-C.
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** A directory of its own, which goes when it is disposed of or the process ends. */
export async function makeDir(under: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(under, 'poste-measured-'));
  made.add(path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      made.delete(path);
    },
  };
}

/** Writes `size` bytes that look random, the same for the same seed. */
export async function makeFile(path: string, seed: string, size: number): Promise<Wanted> {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(Math.min(size, 4 * MEBIBYTE));
  await using file = await open(path, 'w');
  for (let left = size; left > 0; left -= zeros.length) {
    const chunk = cipher.update(zeros.subarray(0, left));
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  return { size, sha256: hash.digest('hex') };
}

/** What is wrong with the files in `dir`, in words; `null` when each is as wanted. */
export async function whatIsWrong(dir: string, wanted: ReadonlyMap<string, Wanted>): Promise<string | null> {
  for (const [name, { size, sha256 }] of wanted) {
    const stats = await stat(join(dir, name)).catch(() => null);
    if (stats === null) return `WRONG: no ${name}`;
    if (stats.size !== size) return `WRONG: ${name} has ${stats.size} bytes instead of ${size}`;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(dir, name), { highWaterMark: MEBIBYTE })) hash.update(chunk as Buffer);
    if (hash.digest('hex') !== sha256) return `WRONG: other bytes in ${name}`;
  }
  return null;
}

/** All of the environment that a measured program gets. Poste's home and the user's are in `dir`, beside what is fetched. */
export function environment(dir: string): Record<string, string> {
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  return { PATH: `${path}:${dirname(process.execPath)}:/usr/sbin:/sbin`, HOME: dir, LANG: 'C.UTF-8', POSTE_HOME: join(dir, 'home') };
}
