import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
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
  const terminal = new Terminal(dir);
  const size = ['-x', String(columns), '-y', String(rows)];
  const settings = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  // The pane stays after its command has ended, so that its last screen and its exit code can be read.
  const keep = ['set-option', '-g', 'remain-on-exit', 'on'];
  await terminal.tmux('start-server', ';', ...keep, ';', 'new-session', '-d', ...size, '-c', cwd, ...settings, command);
  return terminal;
}

export class Terminal implements AsyncDisposable {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
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
    const status = await until('the command in the terminal to end', async () => {
      const [dead, code] = (await this.tmux('display-message', '-p', '#{pane_dead} #{pane_dead_status}')).trim().split(' ');
      return dead === '1' && code;
    });
    return Number(status);
  }

  /** One tmux command; returns what it prints. */
  async tmux(...args: readonly string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', TERM: 'xterm-256color' };
    const { stdout } = await run('tmux', ['-S', join(this.#dir, 'socket'), '-f', '/dev/null', ...args], { env });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux('kill-server').catch(() => undefined);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
