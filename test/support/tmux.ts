import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './wait.js';

const run = promisify(execFile);

/** Why a suite that needs a real terminal cannot run here, for its name; `null` when it can. */
export const tmuxMissing = spawnSync('tmux', ['-V']).status === 0 ? null : 'tmux is not installed';

export interface TerminalOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly columns?: number;
  readonly rows?: number;
}

/** Runs a command of /bin/sh in a terminal of 80 columns and 24 rows that belongs to nobody else. */
export async function startTerminal(command: string, { env, cwd, columns = 80, rows = 24 }: TerminalOptions): Promise<Terminal> {
  const dir = await mkdtemp(join(tmpdir(), 'poste-tmux-'));
  const terminal = new Terminal(dir, env);
  const size = ['-x', String(columns), '-y', String(rows)];
  // The pane stays after its command has ended, so that its last screen can be read.
  const keep = ['set-option', '-g', 'remain-on-exit', 'on'];
  // tmux now and then misses the exit code of a pane: the shell writes it down. Its own trap keeps Ctrl-C from ending it first.
  const script = `trap : INT; (\n${command}\n); echo $? > '${join(dir, 'exit-code')}'`;
  await terminal.tmux('start-server', ';', ...keep, ';', 'new-session', '-d', ...size, '-c', cwd, script);
  return terminal;
}

class Terminal implements AsyncDisposable {
  readonly #dir: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(dir: string, env: TerminalOptions['env']) {
    this.#dir = dir;
    this.#env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env };
  }

  /** What the screen shows, a line a row, without colours. */
  async capture(): Promise<string> {
    return this.tmux('capture-pane', '-p');
  }

  /** Waits until the screen shows `pattern`, and returns the screen. */
  async shows(pattern: RegExp): Promise<string> {
    let screen = '';
    try {
      await until(`${String(pattern)} on the screen`, async () => pattern.test((screen = await this.capture())));
    } catch (error) {
      throw new Error(`the screen shows:\n${screen}`, { cause: error });
    }
    return screen;
  }

  /** Keys by tmux's names: `C-c`, `Enter`, or text. */
  async sendKeys(...keys: readonly string[]): Promise<void> {
    await this.tmux('send-keys', ...keys);
  }

  /** Waits for the command to end, and returns its exit code. */
  async exitCode(): Promise<number> {
    return Number(await until('the command in the terminal to end', () => readFile(join(this.#dir, 'exit-code'), 'utf8')));
  }

  /** One tmux command; returns what it prints. The first one starts the server, and what runs in the terminal inherits its environment. */
  async tmux(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('tmux', ['-S', join(this.#dir, 'socket'), '-f', '/dev/null', ...args], { env: this.#env });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux('kill-server').catch(() => undefined);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
