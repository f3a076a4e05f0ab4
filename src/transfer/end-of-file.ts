import { PosteError } from '../domain/errors.js';
import type { Segment } from '../domain/segments.js';
import { judgeEnd, type Mode, type Verdict } from '../domain/verdict.js';
import type { PartFile } from '../store/part.js';
import type { Asked } from './ask.js';

/**
 * What goes on with the file and brings nothing is asked again from nearer to its end, and at last from the last byte: a server may send no more
 * at a time than what is compared.
 */
const MOST_EMPTY = 2;

/** Whether the end of a file has been reached whose length nobody tells, and how far that is believed. */
export class EndOfFile {
  #state: 'open' | 'to-be-probed' | 'unverified' = 'open';
  #emptyAnswers = 0;

  /** What ended there was a body that ended with its connection, and may have been cut. */
  get isToBeProbed(): boolean {
    return this.#state === 'to-be-probed';
  }

  /** What is here is all, as far as anybody can tell. */
  get isReached(): boolean {
    return this.#state === 'unverified';
  }

  /** Answers in a row that went on with the file and brought nothing, not even bytes that had not been compared. */
  get emptyAnswers(): number {
    return this.#emptyAnswers;
  }

  /** The file is another one now, of which nothing is known. */
  reset(): void {
    this.#state = 'open';
    this.#emptyAnswers = 0;
  }

  doubt(): void {
    this.#state = 'to-be-probed';
  }

  /** An answer went on with the file, and brought news or nothing. False when the server says that the file is longer than what it sends of it. */
  went(segment: Segment, isNews: boolean, total: number | null): boolean {
    this.#emptyAnswers = isNews ? 0 : this.#emptyAnswers + 1;
    if (this.#emptyAnswers <= MOST_EMPTY) return true;
    if (total === null && segment.end === null) this.#state = 'unverified';
    return total === null;
  }

  /**
   * Takes what an answer tells of the end that is to be probed. False when it must be followed like any other.
   * @throws PosteError `network` when the body was cut
   */
  async probed(part: PartFile, mode: Mode, verdict: Verdict, { answer }: Asked): Promise<boolean> {
    const end = judgeEnd(part.header, part.received, mode, verdict, answer);
    if (end === 'follow') return false;
    if (end === 'cut') throw new PosteError('network', 'the connection closed before the end of the file', { transient: true });
    if (end === 'whole') await part.describe({ ...part.header, total: part.received });
    else this.#state = 'unverified';
    return true;
  }
}
