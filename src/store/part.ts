import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { PosteError } from '../domain/errors.js';
import { addExtent, coveredBytes, type Extent } from '../domain/segments.js';
import { Allowance } from './allowance.js';
import { diskError } from './disk-error.js';
import { emptyRecord, extentLine, formatRecord, pair, VERSION, type ExtentLine, type PartHeader, type PartRecord } from './extents.js';
import { removeIfThere, replaceFile, syncDir, writeAllAt, writeFully } from './files.js';
import type { TempPaths } from './paths.js';

/**
 * A sync begins after so many bytes or milliseconds; writing waits for it at twice the bytes. With what sixteen connections hold and write
 * meanwhile (22 MiB at most) that stays below the bound after a power cut, 64 MiB.
 */
const SYNC_BYTES = 20 * 1024 * 1024;
const SYNC_MS = 10_000;
/** An extents file longer than this is written anew, shorter. */
const LONG_RECORD = 1024 * 1024;

/**
 * One generation of a part file, open for writing: bytes at their offsets, and a record that never claims more than is there.
 * Methods reject with PosteError `disk-full` or `io`, which names the path.
 */
export class PartFile {
  readonly generation: number;
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #extentsPath: string;
  readonly #directory: string;
  readonly #boot: string;
  readonly #allowance: Allowance;
  #extentsHandle: FileHandle;
  #record: PartRecord;
  #recordLength: number;
  #unsynced: number;
  #syncedAt = performance.now();
  #directorySynced = false;
  #syncing: Promise<void> | null = null;
  #failure: PosteError | null = null;
  /** What was written and waits for its line. */
  #noting: { extents: readonly Extent[]; noted: Promise<void> } | null = null;
  /** Lines are appended one after the other, whoever asks. */
  #lines: Promise<void> = Promise.resolve();
  /** A line was not written, or in part: none after it would be believed. */
  #isTorn = false;

  private constructor(handle: FileHandle, extents: FileHandle, temp: TempPaths, task: number, generation: number, boot: string, record: PartRecord) {
    this.#handle = handle;
    this.#extentsHandle = extents;
    this.generation = generation;
    this.path = temp.part(task, generation);
    this.#extentsPath = temp.extents(task, generation);
    this.#directory = temp.parts;
    this.#boot = boot;
    this.#allowance = new Allowance(temp.parts);
    this.#record = record;
    this.#recordLength = 0;
    // What a killed process wrote is in nobody's sync yet.
    this.#unsynced = coveredBytes(record.written) - coveredBytes(record.durable);
  }

  /** For {@link openPart} and {@link createPart}, which see to it that `record` is what the extents file says. */
  static async over(
    handle: FileHandle,
    temp: TempPaths,
    task: number,
    generation: number,
    boot: string,
    record: PartRecord,
  ): Promise<PartFile> {
    const extents = await openRecord(temp.extents(task, generation));
    return new PartFile(handle, extents, temp, task, generation, boot, record);
  }

  get header(): PartHeader {
    return this.#record.header;
  }

  get extents(): readonly Extent[] {
    return this.#record.written;
  }

  get compared(): Extent | null {
    return this.#record.compared;
  }

  get received(): number {
    return coveredBytes(this.#record.written);
  }

  /**
   * Writes `buffers` one after the other at `position`, then records them. Resolves when a killed process would not lose them.
   * `disk-full` comes before the disk is: its reserve is left for the state.
   */
  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    this.#throwIfFailed();
    // Nothing was written when this rejects, so nothing has failed that could not go on.
    await this.#allowance.take(buffers.reduce((sum, { length }) => sum + length, 0));
    const end = await this.#writeAt(buffers, position);
    // A sync that failed meanwhile may have dropped them.
    this.#throwIfFailed();
    this.#record = { ...this.#record, written: addExtent(this.#record.written, { start: position, end }) };
    await this.#noteWritten({ start: position, end });
    this.#unsynced += end - position;
    if (this.#unsynced >= SYNC_BYTES || performance.now() - this.#syncedAt >= SYNC_MS) this.#syncing ??= this.#syncOnce();
    // `#syncOnce` never rejects: what went wrong is in `#failure`.
    if (this.#unsynced >= 2 * SYNC_BYTES) await this.#syncing;
  }

  /** Replaces what is known of the file. */
  async describe(header: PartHeader): Promise<void> {
    this.#throwIfFailed();
    this.#record = { ...this.#record, header };
    await this.#append({ v: VERSION, boot: this.#boot, part: header });
  }

  /** Remembers that these bytes were fetched again and are equal, with those before them if they were too. */
  async noteCompared({ start, end }: Extent): Promise<void> {
    this.#throwIfFailed();
    const before = this.#record.compared;
    const compared = before !== null && before.start <= start && before.end >= start ? { start: before.start, end: Math.max(before.end, end) } : { start, end };
    this.#record = { ...this.#record, compared };
    await this.#append({ c: pair(compared) });
  }

  /** Makes every byte written so far survive a power cut. */
  async sync(): Promise<void> {
    await this.#syncing;
    this.#throwIfFailed();
    if (this.#unsynced === 0) return;
    await this.#syncOnce();
    this.#throwIfFailed();
  }

  /** Fills `buffer` from `position` as far as the file goes; answers how many bytes that were. */
  async read(buffer: Buffer, position: number): Promise<number> {
    let done = 0;
    try {
      while (done < buffer.length) {
        const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw diskError(error, this.path);
    }
    return done;
  }

  /** Cuts off what lies beyond `size`, if anything does. */
  async truncate(size: number): Promise<void> {
    try {
      if ((await this.#handle.stat()).size > size) await this.#handle.truncate(size);
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  /** Takes no byte for right any more, whatever happens; they stay where they are until a new generation takes over. Nothing may be written meanwhile. */
  async clear(header: PartHeader = this.#record.header): Promise<void> {
    // A sync under way would mark them as there.
    await this.#syncing;
    // Under another mark: no line of before may be believed.
    this.#record = emptyRecord(header);
    this.#unsynced = 0;
    try {
      await this.#rewriteRecord();
    } catch (error) {
      // Not even its name is left to go on from, which takes no room on a full disk.
      await removeIfThere(this.#extentsPath).catch(() => undefined);
      throw this.#fail(error, this.#extentsPath);
    }
  }

  /** Syncs what can be synced and closes; never rejects. After a failure the disk's word is not asked a second time. */
  async close(): Promise<void> {
    await this.sync().catch(() => undefined);
    await this.#lines.catch(() => undefined);
    await Promise.allSettled([this.#handle.close(), this.#extentsHandle.close()]);
  }

  async #writeAt(buffers: readonly Buffer[], position: number): Promise<number> {
    try {
      return await writeAllAt(this.#handle, buffers, position);
    } catch (error) {
      throw this.#fail(error, this.path);
    }
  }

  /** What is written while a line waits for the one before it shares the next. */
  #noteWritten(extent: Extent): Promise<void> {
    const waiting = this.#noting;
    if (waiting !== null) {
      waiting.extents = addExtent(waiting.extents, extent);
      return waiting.noted;
    }
    const noting = { extents: [extent] as readonly Extent[], noted: Promise.resolve() };
    this.#noting = noting;
    noting.noted = this.#appendText(() => {
      this.#noting = null;
      return noting.extents.map((written) => extentLine({ w: pair(written) }, this.#record.mark)).join('');
    });
    return noting.noted;
  }

  #append(line: ExtentLine): Promise<void> {
    return this.#appendText(() => extentLine(line, this.#record.mark));
  }

  /** `lines` is asked when the ones before it are written. */
  async #appendText(lines: () => string): Promise<void> {
    try {
      await this.#inLine(async () => {
        const text = lines();
        this.#throwIfFailed();
        await this.#writeLines(text);
      });
    } catch (error) {
      throw this.#fail(error, this.#extentsPath);
    }
  }

  async #writeLines(text: string): Promise<void> {
    try {
      await writeFully(this.#extentsHandle, Buffer.from(text), null);
    } catch (error) {
      this.#isTorn = true;
      throw error;
    }
    this.#recordLength += text.length;
  }

  /** Bytes, then the record of them, each made durable in this order. Never rejects; a failure stays in `#failure`. */
  async #syncOnce(): Promise<void> {
    const { written } = this.#record;
    const unsynced = this.#unsynced;
    let areBytesSynced = false;
    try {
      if (!this.#directorySynced) await syncDir(this.#directory);
      this.#directorySynced = true;
      await this.#handle.datasync();
      areBytesSynced = true;
      this.#record = { ...this.#record, durable: written };
      await this.#append({ d: written.map(pair) });
      await this.#extentsHandle.datasync();
      if (this.#recordLength > LONG_RECORD) await this.#rewriteRecord();
      this.#unsynced -= unsynced;
      this.#syncedAt = performance.now();
    } catch (error) {
      // First: what others have written meanwhile gets no line any more.
      this.#fail(error, this.path);
      if (!areBytesSynced) await this.#takeBack();
    } finally {
      this.#syncing = null;
    }
  }

  /** The system may have dropped the pages that it could not write: what counted as written counts no more, whatever else has failed. Never rejects. */
  async #takeBack(): Promise<void> {
    this.#record = { ...this.#record, written: this.#record.durable };
    const told = this.#inLine(async () => {
      if (this.#isTorn) this.#throwIfFailed();
      await this.#writeLines(extentLine({ back: true }, this.#record.mark));
    });
    // A record that cannot say so may not stay.
    await told.catch(() => this.#rewriteRecord()).catch(() => removeIfThere(this.#extentsPath)).catch(() => undefined);
  }

  #rewriteRecord(): Promise<void> {
    return this.#inLine(async () => {
      await replaceFile(this.#extentsPath, formatRecord(this.#record, this.#boot), { durable: true });
      const old = this.#extentsHandle;
      this.#extentsHandle = await openRecord(this.#extentsPath);
      this.#recordLength = 0;
      await old.close();
    });
  }

  async #inLine(change: () => Promise<void>): Promise<void> {
    const changed = this.#lines.then(change);
    this.#lines = changed.catch(() => undefined);
    await changed;
  }

  #fail(error: unknown, path: string): PosteError {
    this.#failure ??= diskError(error, path);
    return this.#failure;
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

function openRecord(path: string): Promise<FileHandle> {
  return open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
}
