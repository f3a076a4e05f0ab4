import { PosteError } from '../domain/errors.js';
import { formatSize } from '../domain/quantities.js';
import { diskSpace } from './disk-space.js';

/** The file system is looked at again after so many bytes, after more where there is room for very many, or milliseconds: others write to it too. */
const LOOK_BYTES = 4 * 1024 * 1024;
const LOOK_SHARE = 1 / 64;
const LOOK_MS = 1000;

/** What may be written to the file system of a folder before its reserve is touched. A body of unknown length, or one that lies, ends there. */
export class Allowance {
  readonly #folder: string;
  #left = 0;
  #reserve = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** To be asked before `bytes` are written. @throws PosteError `disk-full` */
  async take(bytes: number): Promise<void> {
    if (this.#left < bytes || performance.now() - this.#lookedAt > LOOK_MS) await (this.#looking ??= this.#look());
    // Those who waited for the same look may have left nothing of what it found.
    if (this.#left < bytes) await this.#look();
    if (this.#left < bytes) {
      throw new PosteError('disk-full', `no room left in ${this.#folder}: the last ${formatSize(this.#reserve)} stay free`, {
        hint: 'it goes on by itself when there is room',
        transient: true,
      });
    }
    this.#left -= bytes;
  }

  async #look(): Promise<void> {
    const space = await diskSpace(this.#folder);
    this.#looking = null;
    this.#lookedAt = performance.now();
    this.#reserve = space?.reserve ?? 0;
    const room = space === null ? LOOK_BYTES : space.free - space.reserve;
    this.#left = Math.min(room, Math.max(LOOK_BYTES, room * LOOK_SHARE));
  }
}
