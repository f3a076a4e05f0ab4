import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Errand } from './asker.js';
import { hasEnded } from './child.js';
import { compile } from './compiled.js';

export interface Outcome {
  /** Of files that were claimed. */
  readonly paths: readonly string[];
  /** Of errors; none when all went well. */
  readonly codes: readonly string[];
  readonly message?: string;
}

/** What {@link Asker} runs, compiled; the folder that holds it. To be removed. */
export function compileAsker(): Promise<string> {
  return compile(...['domain', 'platform', 'store', 'conditions', 'delivery', 'session'].map((room) => `src/${room}`), 'test/support/asker.ts');
}

/** Another process that claims and controls sessions of a home, without a command's start-up for each. */
export class Asker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  static async start(compiled: string, home: string): Promise<Asker> {
    const child = spawn(process.execPath, [join(compiled, 'test/support/asker.js'), home], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    await lines.next();
    return new Asker(child, lines);
  }

  async run(errand: Errand): Promise<Outcome> {
    this.#child.stdin?.write(`${JSON.stringify(errand)}\n`);
    const answer = await this.#lines.next();
    if (answer.done === true) throw new Error('the asker has died');
    return JSON.parse(answer.value) as Outcome;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await hasEnded(this.#child);
  }
}
