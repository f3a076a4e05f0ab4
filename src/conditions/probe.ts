import type { Reading } from '../domain/conditions.js';
import { runCommand } from './run-command.js';

/** What a probe found; the watch adds the time. */
export type Finding = Omit<Reading, 'at'>;

export type Env = Readonly<Record<string, string | undefined>>;

export interface ProbeContext {
  readonly env: Env;
  /** Aborted when the probe has taken too long. */
  readonly signal: AbortSignal;
}

const PASSED_ON: ReadonlySet<string> = new Set(['PATH', 'HOME', 'LANG', 'TMPDIR', 'USER', 'SHELL']);
const BUS: ReadonlySet<string> = new Set(['DBUS_SESSION_BUS_ADDRESS', 'DBUS_SYSTEM_BUS_ADDRESS', 'XDG_RUNTIME_DIR']);

/** The variables that a command from outside may see: the worker's own may hold credentials. */
export function safeEnv(env: Env): Record<string, string> {
  return pick(env, (name) => PASSED_ON.has(name) || name.startsWith('LC_'));
}

/** A tool's standard output, or `null` when it is absent, fails or takes too long: the next source is asked then. */
export async function ask({ env, signal }: ProbeContext, file: string, ...args: readonly string[]): Promise<string | null> {
  const toolEnv = { ...safeEnv(env), ...pick(env, (name) => BUS.has(name)), LC_ALL: 'C' };
  try {
    const { exitCode, output } = await runCommand(file, args, { env: toolEnv, cwd: '/', output: 'read', signal });
    return exitCode === 0 ? output : null;
  } catch {
    return null;
  }
}

/** Asks a bus with `busctl`; never starts a service for it. Short, so that two silent services fit into one probe's time. */
export function askBus(context: ProbeContext, bus: 'user' | 'system', ...args: readonly string[]): Promise<string | null> {
  return ask(context, 'busctl', `--${bus}`, '--auto-start=no', '--timeout=500ms', ...args);
}

function pick(env: Env, wanted: (name: string) => boolean): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && wanted(name)) picked[name] = value;
  return picked;
}
