import { spawn, spawnSync } from 'node:child_process';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firstOutput, hasEnded } from './child.js';

/** Why there can be no small disk here, or `null`. */
export const noSmallDisk = spawnSync('unshare', ['-m', 'true']).status === 0 ? null : 'mounting is not allowed here';

/** A file system of its own for one test. It lives in another process's mount namespace and goes with it. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;
  readonly #keeper: ReturnType<typeof spawn>;

  private constructor(keeper: ReturnType<typeof spawn>) {
    this.#keeper = keeper;
    this.path = `/proc/${keeper.pid ?? 0}/root/mnt`;
  }

  static async make(kibibytes: number): Promise<SmallDisk> {
    const mount = `mount -t tmpfs -o size=${kibibytes}k none /mnt && echo ready && exec sleep 600`;
    const keeper = spawn('unshare', ['-m', 'sh', '-c', mount], { stdio: ['ignore', 'pipe', 'inherit'] });
    await firstOutput(keeper);
    return new SmallDisk(keeper);
  }

  /** Leaves `left` bytes free, a multiple of a page. */
  async fill(left = 0): Promise<void> {
    await this.empty();
    const { bavail, bsize } = await statfs(this.path);
    await writeFile(join(this.path, 'ballast'), Buffer.alloc(bavail * bsize - left));
  }

  async empty(): Promise<void> {
    await rm(join(this.path, 'ballast'), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.kill('SIGKILL');
    await hasEnded(this.#keeper);
  }
}
