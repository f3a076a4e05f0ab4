import type { TaskSecrets } from '../domain/task.js';
import { readIfThere, replaceFile } from './files.js';
import type { SessionPaths } from './paths.js';
import { seal, unseal } from './sealed.js';

/** Secret values by task number, in the hands of the session's owner. The file is 0600 and apart from the state. */
export class SecretStore {
  readonly #path: string;
  readonly #tasks: Map<number, TaskSecrets>;

  private constructor(path: string, tasks: Map<number, TaskSecrets>) {
    this.#path = path;
    this.#tasks = tasks;
  }

  static async open(paths: SessionPaths): Promise<SecretStore> {
    const text = await readIfThere(paths.secrets);
    const record = text === null ? null : unseal(text);
    const entries = record === null ? [] : Object.entries(record['tasks'] as Record<string, TaskSecrets>);
    return new SecretStore(paths.secrets, new Map(entries.map(([number, secrets]) => [Number(number), secrets])));
  }

  get(task: number): TaskSecrets {
    return this.#tasks.get(task) ?? {};
  }

  /** Adds some and drops those whose task no longer wants them, durably, in one write; nothing changes, nothing is written. */
  async update(added: ReadonlyMap<number, TaskSecrets>, wanted: (task: number) => boolean): Promise<void> {
    let changed = false;
    for (const [task, secrets] of added) {
      this.#tasks.set(task, secrets);
      changed = true;
    }
    for (const task of [...this.#tasks.keys()]) {
      if (!wanted(task)) changed = this.#tasks.delete(task) || changed;
    }
    if (changed) await replaceFile(this.#path, seal({ tasks: Object.fromEntries(this.#tasks) }), { durable: true });
  }
}
