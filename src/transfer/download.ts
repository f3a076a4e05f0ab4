import { PosteError } from '../domain/errors.js';
import { checkRestarts } from '../domain/restarts.js';
import { checkSize, sizeLimit } from '../domain/size.js';
import { bytesAfter, gapsOf, type Segment } from '../domain/segments.js';
import { scrubber } from '../domain/scrub.js';
import { canResume, evidenceOf, resumeMode, type Known, type Mode, type Restart, type Verdict } from '../domain/verdict.js';
import type { PartHeader } from '../store/extents.js';
import type { PartFile } from '../store/part.js';
import { createPart, openPart, removeParts } from '../store/part-file.js';
import { Answers } from './answers.js';
import type { Asked } from './ask.js';
import type { AttemptJob, AttemptObserver, AttemptOutcome } from './attempt.js';
import { complete } from './complete.js';
import { Connections, type Delivery } from './connections.js';
import { EndOfFile } from './end-of-file.js';
import { inquire, join, WHOLE, type Reply } from './inquire.js';
import type { Network } from './network.js';
import { OverlapDiffers, receive, type Span } from './receive.js';
import { headerOf } from './part-header.js';
import { portal, refuse } from './refuse.js';
import { isSmall, takeSmall } from './small.js';
import { FOLLOWED_FROM_BYTES, type RunningDigest } from './running-digest.js';
import type { Throttle } from './throttle.js';
import { startDigest } from './verify.js';

/** Answers in a row without a new byte after which an attempt ends, whatever they were: what comes next is a wait. */
const MOST_FRUITLESS = 12;

/**
 * One attempt, step by step: open what is on disk; while something is missing, ask for it, judge the answer, write what it
 * brings; then verify. See {@link attempt} for what it promises.
 */
export class Download {
  readonly #job: AttemptJob;
  readonly #observer: AttemptObserver;
  readonly #network: Network;
  readonly #throttle: Throttle;
  readonly #signal: AbortSignal;
  readonly #scrub: (text: string) => string;
  readonly #answers: Answers;
  #part: PartFile | null = null;
  #digest: RunningDigest | null = null;
  #mode: Mode = 'open';
  /** Why the bytes that are here will not be continued, once that is decided. */
  #restart: Restart | null = null;
  #restarts = 0;
  readonly #end = new EndOfFile();
  #progressed = false;
  /** What this version had when the attempt began with it: only what goes beyond is progress. */
  #had = 0;
  /** Pieces of two versions came side by side: one after the other, the server may yet give one. */
  #isAlone = false;
  /** This attempt has been sent the file. That an earlier one was told it is empty proves nothing. */
  #hasBegun = false;
  /** Where the last piece that this attempt fetched ends. */
  #continues: number | null = null;
  #refusals = 0;

  constructor(job: AttemptJob, observer: AttemptObserver, network: Network, throttle: Throttle, signal: AbortSignal) {
    this.#job = job;
    this.#observer = observer;
    this.#network = network;
    this.#throttle = throttle;
    this.#signal = signal;
    this.#scrub = scrubber(job.secrets);
    this.#answers = new Answers(job, observer, this.#scrub);
  }

  /** Bytes on disk. */
  get received(): number {
    return this.#part?.received ?? 0;
  }

  get progressed(): boolean {
    return this.#progressed;
  }

  async run(): Promise<AttemptOutcome> {
    if (this.#job.isFresh !== true) await this.#open();
    for (let fruitless = 0; fruitless <= MOST_FRUITLESS; ) {
      const [part, segment] = [this.#part, this.#nextSegment()];
      if (part !== null && segment === null) return await complete(part, this.#job, this.#observer, { name: this.#answers.name, running: this.#digest, signal: this.#signal });
      const [received, compared] = [this.received, part?.compared?.end ?? 0];
      const outcome = await this.#fetch(segment ?? WHOLE);
      if (outcome !== null) return outcome;
      const isNews = this.received > received || (this.#part === part && (part?.compared?.end ?? 0) > compared);
      fruitless = isNews ? 0 : fruitless + 1;
    }
    throw new PosteError('malformed-answer', 'the server answers and answers, and the file comes no further', { transient: true });
  }

  /** Syncs and closes the part file. Never rejects. */
  async close(): Promise<void> {
    this.#digest?.close();
    await this.#part?.close();
  }

  async #open(): Promise<void> {
    const { temp, task, bootId } = this.#job;
    const { part, lost } = await openPart(temp, task, bootId);
    this.#part = part;
    if (lost !== null) await this.#observer.restarted(lost, 0);
    if (part === null || part.received === 0) return;
    this.#had = part.received;
    this.#mode = this.#canResume(part.header) ? resumeMode(part.header) : 'open';
    if (this.#mode === 'open') this.#restart = { reason: 'the server gave nothing that proves it would go on with the same file', changed: false };
  }

  /** `null` when nothing is missing. */
  #nextSegment(): Segment | null {
    if (this.#part === null) return WHOLE;
    const { extents, header, received } = this.#part;
    if (received === 0) return header.total === 0 && this.#hasBegun ? null : WHOLE;
    const [gap = null] = gapsOf(extents, header.total);
    return header.total === null && this.#end.isReached && gap?.end === null ? null : gap;
  }

  /** Asks once and takes what comes. An outcome ends the attempt; `null` goes on with it. */
  async #fetch(segment: Segment): Promise<AttemptOutcome | null> {
    // With nothing here the version that was dropped still tells a log-in page from the file.
    const part = this.received === 0 && this.#restart === null ? null : this.#part;
    const reply = await this.#inquire(part, segment, segment.start === this.#continues, this.#end.emptyAnswers, this.#signal);
    try {
      if (part !== null && this.#end.isToBeProbed && (await this.#end.probed(part, this.#mode, reply.verdict, reply.asked))) return null;
      return await this.#follow(reply, segment);
    } finally {
      reply.asked.exchange.discard();
    }
  }

  #inquire(part: PartFile | null, segment: Segment, continues: boolean, emptyAnswers: number, signal: AbortSignal): Promise<Reply> {
    return inquire(this.#job, { part, mode: this.#mode, segment, continues, emptyAnswers, isLimited: this.#throttle.isLimited }, this.#network, signal);
  }

  async #follow({ verdict, asked, by }: Reply, segment: Segment): Promise<AttemptOutcome | null> {
    switch (verdict.kind) {
      case 'begin':
        return await this.#begin(verdict, asked);
      case 'append':
        await this.#append(verdict, asked, { start: by.join, end: segment.end });
        return null;
      case 'complete':
        if (this.#part !== null) await this.#part.describe({ ...this.#part.header, total: verdict.total });
        return null;
      case 'again':
        this.#mode = verdict.mode;
        this.#restart = verdict.restart ?? this.#restart;
        return null;
      case 'portal':
        return { ...portal(this.received), progressed: this.#progressed };
      case 'malformed':
        throw new PosteError('malformed-answer', verdict.message);
      case 'status': {
        const outcome = refuse(asked, this.received, this.#job.hadBytes, this.#scrub);
        this.#refusals += 1;
        if (outcome.kind === 'needs' && this.#refusals === 1) return null;
        return outcome.kind === 'retry' ? { ...outcome, progressed: this.#progressed } : outcome;
      }
    }
  }

  /** A version from its first byte: into a part file of its own, beside the one that it replaces. */
  async #begin({ total, end, restart: reason }: Verdict & { kind: 'begin' }, asked: Asked): Promise<AttemptOutcome | null> {
    const { temp, task, bootId, spec } = this.#job;
    checkSize(this.#job.spec, total);
    const old = this.#part;
    const dropped = old?.received ?? 0;
    const restart = reason ?? this.#restart;
    const changes = (old?.header.changes ?? 0) + (dropped > 0 && restart?.changed === true ? 1 : 0);
    const header = headerOf(asked, total, changes);
    if (restart?.changed === true) this.#had = 0;
    await this.#answers.admit(asked, header, 0);
    if (old === null && isSmall(this.#job, total, end)) return await this.#takeSmall(asked, header);
    if (dropped > 0) await this.#restarted(restart, dropped, changes);
    const part = (this.#part = await createPart(temp, task, bootId, header));
    this.#hasBegun = true;
    this.#digest?.close();
    this.#digest = null;
    this.#restart = null;
    this.#end.reset();
    await old?.close();
    await removeParts(temp, task, old === null || dropped === 0 ? [part.generation] : [part.generation, old.generation]);
    await this.#answers.tell(asked, part.header);
    if (this.#canResume(part.header)) this.#mode = resumeMode(part.header);
    // A 416 or 204 may have a text to say so; it is no part of the file.
    if (end === 0 && asked.answer.status !== 200) return null;
    try {
      if (!(await this.#receive(asked, part, { start: 0, join: 0, overlap: Buffer.alloc(0), end, total, limit: sizeLimit(spec), stretch: { start: 0, position: 0, end: null } }))) return null;
    } finally {
      if (old !== null && part.received >= dropped) await removeParts(temp, task, [part.generation]);
    }
    if (part.received === 0 && asked.answer.framing !== 'length' && total !== 0 && spec.expectSize !== 0) {
      throw new PosteError('malformed-answer', 'the server sent an empty answer without saying that the file is empty');
    }
    if (part.header.total === null && asked.answer.status === 200) {
      if (asked.answer.framing === 'chunked') await part.describe({ ...part.header, total: part.received });
      else this.#end.doubt();
    }
    if (this.#canResume(part.header)) return null;
    this.#mode = this.#end.isToBeProbed ? 'plain' : 'unranged';
    if (this.#mode === 'unranged') this.#restart = { reason: 'the server sends pieces without saying of which version', changed: false };
    return null;
  }

  async #restarted(restart: Restart | null, dropped: number, changes: number): Promise<void> {
    this.#restarts += 1;
    checkRestarts({ here: this.#restarts, all: this.#job.restarts + this.#restarts, changes });
    await this.#observer.restarted(restart?.reason ?? 'it is fetched anew', dropped);
  }

  /** Bytes of two versions are here, nobody can tell which is which: gone at once, or whatever ends this attempt would leave them for the next. */
  async #drop(part: PartFile, restart: Restart): Promise<void> {
    const [dropped, changes] = [part.received, part.header.changes + 1];
    await part.clear({ ...part.header, changes });
    this.#end.reset();
    await this.#restarted(restart, dropped, changes);
  }

  async #takeSmall(asked: Asked, header: PartHeader): Promise<AttemptOutcome> {
    await this.#answers.tell(asked, header);
    const taken = await takeSmall(asked.exchange, header, { job: this.#job, observer: this.#observer, throttle: this.#throttle, name: this.#answers.name });
    if (taken.kind !== 'cut') return taken;
    this.#part = taken.part;
    this.#progressed = this.received > 0;
    throw taken.error;
  }

  /** More bytes of the version that is here. */
  async #append(verdict: Verdict & { kind: 'append' }, asked: Asked, segment: Segment): Promise<void> {
    const part = this.#part;
    if (part === null) return;
    const { total } = verdict;
    checkSize(this.#job.spec, total);
    await this.#answers.admit(asked, { ...part.header, total }, part.received);
    const span = await join(part, { asked, verdict }, segment, segment.start === this.#continues, sizeLimit(this.#job.spec));
    await this.#answers.tell(asked, part.header);
    const { received, compared } = part;
    if (!(await this.#receive(asked, part, span))) return;
    if (total !== part.header.total && verdict.end >= segment.start) await part.describe({ ...part.header, total });
    const isNews = part.received > received || (verdict.end < segment.start && (part.compared?.end ?? 0) > (compared?.end ?? 0));
    if (this.#end.went(segment, isNews, total)) return;
    this.#mode = 'unranged';
    this.#restart = { reason: 'the server says that the file is longer than what it sends of it', changed: false };
  }

  /** Takes a body, and where the server lets pieces be proved to belong together, more of them side by side. False when it is another one than what is here. */
  async #receive(asked: Asked, part: PartFile, span: Span): Promise<boolean> {
    const { received, compared } = part;
    const { total: known, validators } = part.header;
    const report = (connections: number): void => {
      this.#observer.progress({ received: part.received, total: span.total, connections });
      if (part.received >= FOLLOWED_FROM_BYTES) this.#digest ??= startDigest(part, this.#job.spec.checksum?.algorithm ?? null);
      this.#digest?.advance(bytesAfter(part.extents, 0));
    };
    report(1);
    const isProvable = this.#canResume(part.header) && evidenceOf(validators, false) !== 'none';
    try {
      if (known !== null && isProvable && !this.#isAlone && asked.answer.status === 206 && this.#job.connections !== undefined) {
        const [wanted, throttle, ask] = [this.#job.connections, this.#throttle, this.#another.bind(this, part)];
        await new Connections({ part, total: known, wanted, throttle, ask, onWritten: report, signal: this.#signal }).run({ ...asked, span });
      } else await receive(asked.exchange, part, span, this.#throttle, () => report(1));
      return true;
    } catch (error) {
      if (!(error instanceof OverlapDiffers)) throw error;
      this.#mode = 'open';
      this.#restart = error.restart;
      this.#isAlone ||= error.isOnDisk;
      if (error.isOnDisk) await this.#drop(part, this.#restart);
      return false;
    } finally {
      this.#progressed ||= part.received > Math.max(received, this.#had) || (part.compared?.end ?? 0) > (compared?.end ?? 0);
      // What brought nothing has not even compared all that lies before the join.
      if (part.received > received) this.#continues = Math.min(span.join + bytesAfter(part.extents, span.join), span.stretch.end ?? Infinity);
    }
  }

  /** @throws OverlapDiffers when the file is another one by now, or is where this was asked */
  async #another(part: PartFile, segment: Segment, continues: boolean, signal: AbortSignal): Promise<Delivery | null> {
    for (;;) {
      const mode = this.#mode;
      const { asked, verdict } = await this.#inquire(part, segment, continues, 0, signal);
      try {
        if (verdict.kind === 'append') return { ...asked, span: await join(part, { asked, verdict }, segment, continues, sizeLimit(this.#job.spec)) };
      } catch (error) {
        asked.exchange.discard();
        throw error;
      }
      asked.exchange.discard();
      const restart = verdict.kind === 'again' || verdict.kind === 'begin' ? verdict.restart : null;
      if (restart?.changed === true) throw new OverlapDiffers(false, restart);
      if (verdict.kind !== 'again' || verdict.mode !== 'plain' || mode === 'plain') return null;
      this.#mode = 'plain';
    }
  }

  #canResume(known: Known): boolean {
    return canResume(known, this.#job.spec.checksum !== null);
  }
}
