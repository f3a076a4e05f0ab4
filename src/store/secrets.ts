import { createHash } from 'node:crypto';
import { isSecretsTable } from '../domain/request-shapes.js';
import type { TaskSecrets, TaskSpec } from '../domain/task.js';
import { readSealed, replaceFile } from './files.js';
import type { SessionPaths } from './paths.js';
import { untilRoom } from './room.js';
import { seal } from './sealed.js';

/** Secret values by task number, in the hands of the session's owner. The file is 0600 and apart from the state. */
export class SecretStore {
  readonly #path: string;
  readonly #tasks: Map<number, TaskSecrets>;
  readonly #patience: AbortSignal | null;
  /** Tasks that are in the file only. */
  #stale = 0;
  #changed = false;
  #saved: Promise<void> = Promise.resolve();

  private constructor(path: string, tasks: Map<number, TaskSecrets>, patience: AbortSignal | null) {
    this.#path = path;
    this.#tasks = tasks;
    this.#patience = patience;
  }

  /** `patience` as in {@link untilRoom}. A file that is damaged holds nothing: see {@link missing}. */
  static async open(paths: SessionPaths, patience: AbortSignal | null): Promise<SecretStore> {
    const record = await readSealed(paths.secrets);
    const entries = isSecretsTable(record?.['tasks']) ? Object.entries(record?.['tasks'] as Record<string, TaskSecrets>) : [];
    return new SecretStore(paths.secrets, new Map(entries.map(([number, secrets]) => [Number(number), secrets])), patience);
  }

  get(task: number): TaskSecrets {
    return this.#tasks.get(task) ?? {};
  }

  /** What the task was given and is not here, because the file was damaged or never written: without it something else would be fetched. */
  missing(task: number, spec: TaskSpec): 'url' | 'headers' | null {
    const { url, headers } = this.get(task);
    if (urlHash(url ?? spec.url) !== spec.urlHash) return 'url';
    return headers === undefined && spec.headerNames.length > 0 ? 'headers' : null;
  }

  /** Adds some and drops those whose task no longer wants them, durably, in one write; nothing changes, nothing is written. */
  async update(added: ReadonlyMap<number, TaskSecrets>, wanted: (task: number) => boolean): Promise<void> {
    for (const [task, secrets] of added) {
      this.#tasks.set(task, secrets);
      this.#changed = true;
    }
    for (const task of [...this.#tasks.keys()]) {
      if (!wanted(task)) this.#changed = this.#tasks.delete(task) || this.#changed;
    }
    if (this.#changed) await this.#save();
  }

  /**
   * Drops one task's. While what was dropped is under an eighth of what stays, the file follows later, with {@link update} at the
   * latest: of 100 000 tasks each would rewrite what the others have.
   */
  async drop(task: number): Promise<void> {
    if (!this.#tasks.delete(task)) return;
    this.#changed = true;
    this.#stale += 1;
    if (this.#stale * 8 > this.#tasks.size) await this.#save();
  }

  /** One write after the other, each with all that is known when it begins: an older content never replaces a newer one. */
  #save(): Promise<void> {
    const saved = this.#saved.then(async () => {
      if (!this.#changed) return;
      this.#changed = false;
      this.#stale = 0;
      try {
        await untilRoom(() => replaceFile(this.#path, seal({ tasks: Object.fromEntries(this.#tasks) }), { durable: true }), this.#patience);
      } catch (error) {
        this.#changed = true;
        throw error;
      }
    });
    this.#saved = saved.catch(() => undefined);
    return saved;
  }
}

/** Identifies an exact URL, hex: all that the state keeps of one with secrets in it. */
export function urlHash(url: string): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 32);
}
