import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `read` collects standard output, `discard` gives the command none. */
  readonly output: 'read' | 'discard';
  /** Aborting kills the command with all of its process group. */
  readonly signal: AbortSignal;
}

export interface CommandResult {
  /** `null` when it was ended by a signal, its own or ours. */
  readonly exitCode: number | null;
  /** At most 64 KiB. */
  readonly output: string;
}

const OUTPUT_LIMIT = 65_536;

/**
 * Runs a command in a process group of its own; what it leaves running is killed when it ends. Settles when the
 * command has ended or `signal` is aborted, whichever comes first. Rejects when it cannot be started.
 */
export function runCommand(file: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const { env, cwd, output, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      resolve({ exitCode: null, output: '' });
      return;
    }
    const child = spawn(file, args, { env, cwd, detached: true, stdio: ['ignore', output === 'read' ? 'pipe' : 'ignore', 'ignore'] });
    let text = '';
    const settle = (exitCode: number | null): void => {
      signal.removeEventListener('abort', abort);
      child.stdout?.destroy();
      resolve({ exitCode, output: text });
    };
    const abort = (): void => {
      killGroup(child.pid);
      settle(null);
    };
    signal.addEventListener('abort', abort);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.length < OUTPUT_LIMIT) text = (text + chunk).slice(0, OUTPUT_LIMIT);
    });
    child.once('error', (error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    });
    child.once('exit', () => {
      killGroup(child.pid);
    });
    child.once('close', settle);
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is empty: nothing is left to kill.
  }
}
