import type { PartHeader } from '../store/extents.js';
import type { Asked } from './ask.js';
import type { AttemptJob, AttemptObserver } from './attempt.js';
import { nameOf } from './name.js';
import { representationOf } from './part-header.js';

/** Tells an attempt's observer of the answers that it goes by: each name and version once. */
export class Answers {
  readonly #job: AttemptJob;
  readonly #observer: AttemptObserver;
  readonly #scrub: (text: string) => string;
  #name: string;
  #told = '';

  constructor(job: AttemptJob, observer: AttemptObserver, scrub: (text: string) => string) {
    this.#job = job;
    this.#observer = observer;
    this.#scrub = scrub;
    this.#name = job.spec.name;
  }

  /** The file's, as the last answer has it. */
  get name(): string {
    return this.#name;
  }

  async tell({ fields, answer }: Asked, header: PartHeader): Promise<void> {
    const { spec, takenNames } = this.#job;
    this.#name = nameOf(spec, fields, this.#scrub, takenNames);
    const representation = representationOf(header, answer, spec.checksum !== null);
    const told = JSON.stringify([this.#name, representation]);
    if (told === this.#told) return;
    this.#told = told;
    await this.#observer.answered(this.#name, representation);
  }

  /** Without room for it the size is told all the same: nothing is asked for again before it fits. @throws PosteError `disk-full` */
  async admit(asked: Asked, header: PartHeader, received: number): Promise<void> {
    if (header.total === null) return;
    try {
      await this.#job.admit?.(received, header.total);
    } catch (error) {
      await this.tell(asked, header);
      throw error;
    }
  }
}
