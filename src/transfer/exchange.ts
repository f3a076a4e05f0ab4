import type { Dispatcher } from 'undici';
import type { HeaderFields } from '../domain/answer.js';
import { PosteError } from '../domain/errors.js';
import { networkError } from '../domain/network-error.js';
import { systemCode } from '../store/files.js';
import { withGate, type Gate } from './gate.js';
import { Watchdog } from './watchdog.js';

/** Informational answers (1xx) before the real one. */
const MOST_PRELIMINARIES = 100;
/** What is left of an unwanted body is read to its end when it is this short, so that the connection can be used again. */
const SHORT_BODY = 16 * 1024;

export interface Head {
  readonly status: number;
  readonly statusText: string;
  readonly fields: HeaderFields;
}

export interface Target {
  readonly url: URL;
  readonly headers: Record<string, string | string[]>;
  readonly stallTimeoutMs: number;
  readonly viaProxy: boolean;
  /** Ends the exchange with its reason. */
  readonly signal: AbortSignal;
}

/**
 * One GET. The body waits until {@link consume} or {@link discard}; every exchange must end in one of the two.
 * Whatever goes wrong becomes a PosteError (`network`, `dns`, `tls`, `proxy`, `auth`, `stalled`, `malformed-answer`),
 * or the reason that {@link abort} was given.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly head: Promise<Head>;
  readonly #target: Target;
  readonly #watchdog: Watchdog;
  readonly #holds = new Set<string>();
  readonly #ended: Promise<undefined>;
  readonly #resolveHead: (head: Head) => void;
  readonly #resolveEnd: () => void;
  readonly #reject: (error: unknown) => void;
  /** What had been read when the gate was closed: at most what one read brings. */
  readonly #early: Buffer[] = [];
  #controller: Dispatcher.DispatchController | null = null;
  #gate: Gate | null = null;
  #failure: Error | null = null;
  /** What the sink threw. */
  #refused: Error | null = null;
  #answered = false;
  #over = false;
  #preliminaries = 0;
  #sink: ((chunk: Buffer) => void) | null = null;
  #length: number | null = null;
  readonly #stop = (): void => {
    const reason: unknown = this.#target.signal.reason;
    this.abort(reason instanceof Error ? reason : new DOMException('stopped', 'AbortError'));
  };

  constructor(dispatcher: Dispatcher, target: Target) {
    this.#target = target;
    const head = deferred<Head>();
    const end = deferred<undefined>();
    this.head = head.promise;
    this.#ended = end.promise;
    this.#resolveHead = head.resolve;
    this.#resolveEnd = () => end.resolve(undefined);
    this.#reject = (error) => {
      head.reject(error);
      end.reject(error);
    };
    this.#watchdog = new Watchdog(target.stallTimeoutMs, () => {
      this.abort(new PosteError('stalled', `nothing came from ${target.url.host} for ${target.stallTimeoutMs / 1000} s`, { transient: true }));
    });
    target.signal.addEventListener('abort', this.#stop);
    const { url, headers } = target;
    try {
      dispatcher.dispatch({ origin: url.origin, path: `${url.pathname}${url.search}`, method: 'GET', headers, headersTimeout: 0, bodyTimeout: 0 }, this);
    } catch (error) {
      this.#fail(this.#inOurTerms(error));
    }
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Milliseconds since anything came; 0 while it is held back here. */
  get silentMs(): number {
    return this.#watchdog.silentMs;
  }

  /** The address of this machine that it was made from; `null` before it is connected. */
  get localAddress(): string | null {
    return this.#gate?.localAddress ?? null;
  }

  /** Hands the body over, chunk by chunk; resolves at its proper end. When `sink` throws, so does this. */
  async consume(sink: (chunk: Buffer) => void): Promise<void> {
    this.#sink = sink;
    this.#watchdog.renew();
    for (const chunk of this.#early.splice(0)) this.#give(chunk);
    this.release('head');
    await this.#ended;
    if (this.#refused !== null) throw this.#refused;
  }

  /** Gives up the rest of the body. */
  discard(): void {
    if (this.#length !== null && this.#length <= SHORT_BODY) {
      this.#sink = () => undefined;
      this.#early.length = 0;
      this.release('head');
    } else this.abort(new PosteError('network', 'the rest was not wanted', { transient: true }));
  }

  /** Ends it now. Nothing is sent any more, and no chunk is handed over. */
  abort(reason: Error): void {
    this.#fail(reason);
  }

  /** Stops reading, for a reason of any name, until every reason is released. */
  hold(reason: string): void {
    if (this.#over) return;
    this.#holds.add(reason);
    this.#watchdog.hold();
    this.#gate?.close();
  }

  release(reason: string): void {
    if (!this.#holds.delete(reason) || this.#holds.size > 0 || this.#over) return;
    this.#watchdog.release();
    // Not at once: this may be inside a callback of undici, be it another connection's.
    queueMicrotask(() => {
      if (this.#holds.size === 0) this.#gate?.open();
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure !== null) controller.abort(this.#failure);
    else withGate((gate) => (this.#gate = gate));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, fields: HeaderFields, statusText = ''): void {
    if (this.#over) return;
    if (status < 200) {
      this.#preliminaries += 1;
      if (this.#preliminaries > MOST_PRELIMINARIES) {
        this.abort(new PosteError('malformed-answer', `${this.#target.url.host} announces an answer without end and sends none`));
      }
      return;
    }
    this.#answered = true;
    const length = fields['content-length'];
    this.#length = typeof length === 'string' ? Number(length) : null;
    this.hold('head');
    this.#resolveHead({ status, statusText, fields });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    this.#watchdog.heard(chunk.length);
    if (this.#sink === null) this.#early.push(chunk);
    else this.#give(chunk);
  }

  onResponseEnd(): void {
    if (this.#gate?.wasReset === true) this.#fail(new PosteError('network', `${this.#target.url.host} broke the connection off`, { transient: true }));
    else if (this.#close()) this.#resolveEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#inOurTerms(error));
  }

  #give(chunk: Buffer): void {
    try {
      if (this.#refused === null) this.#sink?.(chunk);
    } catch (error) {
      this.#refused = error instanceof Error ? error : new Error(String(error));
      this.abort(this.#refused);
    }
  }

  #fail(failure: Error): void {
    if (!this.#close()) return;
    this.#failure = failure;
    this.#controller?.abort(failure);
    this.#reject(failure);
  }

  /** False when it was over before. */
  #close(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#watchdog.stop();
    this.#target.signal.removeEventListener('abort', this.#stop);
    const gate = this.#gate;
    this.#gate = null;
    queueMicrotask(() => gate?.open());
    return true;
  }

  #inOurTerms(error: unknown): PosteError {
    const { url, viaProxy } = this.#target;
    const message = error instanceof Error ? error.message : String(error);
    return networkError({ code: systemCode(error), message, host: url.host, answered: this.#answered, viaProxy });
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** A promise to be settled from outside. Whoever awaits it learns of a failure; that nobody does is no failure of its own. */
function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
