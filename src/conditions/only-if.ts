import { safeEnv, type Finding, type ProbeContext } from './probe.js';
import { runCommand } from './run-command.js';

/**
 * Runs an `--only-if` command by `/bin/sh -c` in `cwd`: yes when it exits with 0, no in any other case, also when it
 * cannot be run or is killed for taking too long. Its text is never shown: people put tokens there.
 */
export async function runOnlyIf(context: ProbeContext, command: string, cwd: string): Promise<Finding> {
  const source = '--only-if';
  try {
    const options = { env: safeEnv(context.env), cwd, output: 'discard', signal: context.signal } as const;
    const { exitCode } = await runCommand('/bin/sh', ['-c', command], options);
    if (exitCode === null) return { value: 'no', detail: 'the --only-if command was killed', source };
    return { value: exitCode === 0 ? 'yes' : 'no', detail: `the --only-if command exited with ${exitCode}`, source };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { value: 'no', detail: `the --only-if command could not be run in ${cwd} (${why})`, source };
  }
}
