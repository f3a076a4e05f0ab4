import { ConditionWatch } from '../conditions/watch.js';
import { explainConditions, type ExplainedCondition, type Reading } from '../domain/conditions.js';
import { isSettled, type Task } from '../domain/task.js';
import type { SessionView } from './read.js';

/** Tasks that run under the same conditions, and how each condition stands. */
export interface ExplainedTask {
  readonly tasks: readonly number[];
  readonly conditions: readonly ExplainedCondition[];
}

/**
 * Every condition of the session's unsettled tasks, probed now. A command of `--only-if` is not run by those who only look:
 * what the worker last found stands in for it.
 */
export async function explainSession({ session }: SessionView, env: NodeJS.ProcessEnv): Promise<ExplainedTask[]> {
  const watch = new ConditionWatch({ env, pollMs: 1000 });
  const groups = new Map<string, Task[]>();
  for (const task of session.tasks.values()) {
    if (isSettled(task)) continue;
    const key = JSON.stringify([task.spec.conditions, onlyIfReading(task)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [task]);
    else group.push(task);
  }
  const explained: ExplainedTask[] = [];
  for (const tasks of groups.values()) {
    const [task] = tasks;
    if (task === undefined) continue;
    const { conditions, cwd } = task.spec;
    const readings = await watch.read({ ...conditions, onlyIf: null }, cwd);
    const seen = { ...readings, onlyIf: conditions.onlyIf === null ? null : onlyIfReading(task) };
    explained.push({ tasks: tasks.map(({ number }) => number), conditions: explainConditions(conditions, seen, Date.now()) });
  }
  watch.stop();
  return explained;
}

function onlyIfReading(task: Task): Reading | null {
  if (task.spec.conditions.onlyIf === null) return null;
  const reason = task.state.kind === 'waiting' ? task.state.reasons.find(({ code }) => code === 'only-if') : undefined;
  const running = task.state.kind === 'running' || task.state.kind === 'verifying';
  return {
    value: reason !== undefined ? 'no' : running ? 'yes' : 'unknown',
    detail: reason?.message ?? (running ? 'exits with 0' : 'not run yet'),
    source: "the worker's last look",
    at: reason?.since ?? task.createdAt,
  };
}
