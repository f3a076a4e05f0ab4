import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ProcessIdentity } from '../../src/platform/process-identity.js';
import { compile } from './compiled.js';

export interface TakeAnswer {
  readonly kind: 'taken' | 'held' | 'foreign' | 'error' | 'killed';
  readonly gen?: number;
  readonly pid?: number;
  readonly error?: string;
}

/** What {@link Contender} runs, compiled; the folder that holds it. To be removed. */
export function compileContender(): Promise<string> {
  return compile('src/domain', 'src/platform', 'src/store', 'test/support/contender.ts');
}

/** Another process that contends for the session `contended` of a home. */
export class Contender {
  readonly identity: ProcessIdentity;
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, identity: ProcessIdentity) {
    this.#child = child;
    this.ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    this.#lines = lines;
    this.identity = identity;
  }

  /** `under` is a command to put in front, such as strace; `title` becomes the name that the system shows. */
  static async start(
    compiled: string,
    home: string,
    { under = [], title }: { under?: readonly string[]; title?: string } = {},
  ): Promise<Contender> {
    const program = [process.execPath, join(compiled, 'test/support/contender.js'), home, ...(title === undefined ? [] : [title])];
    const [file = '', ...args] = [...under, ...program];
    // One thread for the file system: what strace counts comes in one order.
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
    child.stdin.on('error', () => undefined);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done === true) throw new Error(`${file} ended before it began`);
    return new Contender(child, lines, JSON.parse(first.value) as ProcessIdentity);
  }

  async take(): Promise<TakeAnswer> {
    return ((await this.#ask('take')) as TakeAnswer | null) ?? { kind: 'killed' };
  }

  async stillMine(): Promise<boolean> {
    return ((await this.#ask('mine')) as { mine: boolean } | null)?.mine === true;
  }

  async release(): Promise<void> {
    await this.#ask('release');
  }

  /** To the contender's own process, also when it runs under another. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.identity.pid, signal);
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    try {
      this.signal('SIGKILL');
    } catch {
      // Gone.
    }
    await this.ended;
  }

  async #ask(line: string): Promise<unknown> {
    this.#child.stdin?.write(`${line}\n`);
    const answer = await this.#lines.next();
    return answer.done === true ? null : (JSON.parse(answer.value) as unknown);
  }
}
