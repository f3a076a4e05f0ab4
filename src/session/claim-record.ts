import { PosteError } from '../domain/errors.js';
import type { Session } from '../domain/session.js';
import type { Task } from '../domain/task.js';
import { isThere } from '../store/files.js';
import { JournalReader } from '../store/journal-reader.js';
import { Together } from '../store/together.js';
import { ask, type Asking } from './ask.js';
import { noSession } from './read.js';

interface Waiting {
  readonly task: number;
  readonly path: string;
  readonly sha256: string | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The journal as one claim of many files needs it: read on from where it was, and written to for several files at a time. */
export class ClaimRecord {
  readonly #asking: Asking;
  readonly #reader: JournalReader;
  readonly #looks = new Together(() => this.#look());
  #waiting: Waiting[] = [];
  #isSending = false;

  constructor(asking: Asking) {
    this.#asking = asking;
    this.#reader = new JournalReader(asking.paths.journal);
  }

  /** The task as it is now. @throws PosteError `no-session` when its session is gone */
  async reload(number: number): Promise<Task> {
    const session = await this.#looks.run('');
    const task = session.tasks.get(number);
    if (task === undefined) throw new PosteError('no-task', `session ${this.#asking.id} has no task ${number} any more`);
    return task;
  }

  /** Resolves when the claim is durable. What comes while a request is under way shares the next one. */
  record(task: number, path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const state = this.#reader.session?.tasks.get(task)?.state;
      this.#waiting.push({ task, path, sha256: state?.kind === 'finished' ? state.sha256 : undefined, resolve, reject });
      if (!this.#isSending) void this.#send();
    });
  }

  async #look(): Promise<Session> {
    await this.#reader.catchUp();
    const { session } = this.#reader;
    if (session === null || session.forgotten || !(await isThere(this.#asking.paths.journal))) throw noSession(this.#asking.id);
    return session;
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const { tasks } = await ask(this.#asking, { kind: 'claimed', claims: batch.map(({ task, path, sha256 }) => ({ task, path, ...(sha256 === undefined ? {} : { sha256 }) })) });
        for (const { task, resolve, reject } of batch) {
          if (tasks.includes(task)) resolve();
          else reject(new PosteError('nothing-to-claim', `task ${task} is not there to be claimed any more`));
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isSending = false;
  }
}
