import { ConditionWatch } from '../conditions/watch.js';
import { judgeConditions, type ConditionVerdict } from '../domain/conditions.js';
import { conditionReasons, nextGate, type Gate } from '../domain/gate.js';
import { parsePolicyTimes, type PolicyTimes } from '../domain/policy-times.js';
import { isSettled, type Reason, type Task, type TaskConditions } from '../domain/task.js';

interface Guarded {
  readonly conditions: TaskConditions;
  readonly cwd: string;
  readonly gate: Gate | null;
  readonly verdict: ConditionVerdict;
  readonly online: boolean;
}

/** One gate for each set of conditions in the session, kept up to date by {@link look}. */
export class Gates {
  readonly #watch: ConditionWatch;
  readonly #times: PolicyTimes;
  readonly #guarded = new Map<string, Guarded>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #signature = '';

  constructor(env: NodeJS.ProcessEnv) {
    this.#times = parsePolicyTimes(env);
    this.#watch = new ConditionWatch({ env, pollMs: this.#times.pollMs });
  }

  /** Probes what the tasks' conditions need, when it is time to. `monotonic` and `now` in milliseconds. */
  async look(tasks: Iterable<Task>, monotonic: number, now: number): Promise<void> {
    const asked = new Map<string, Task>();
    for (const task of tasks) if (!isSettled(task)) asked.set(keyOf(task), task);
    const signature = [...asked.keys()].join('\n');
    if (monotonic - this.#lookedAt < this.#times.pollMs && signature === this.#signature) return;
    this.#lookedAt = monotonic;
    this.#signature = signature;
    for (const key of this.#guarded.keys()) if (!asked.has(key)) this.#guarded.delete(key);
    for (const [key, { spec }] of asked) {
      const readings = await this.#watch.read(spec.conditions, spec.cwd);
      const verdict = judgeConditions(spec.conditions, readings, now);
      const gate = verdict.held === null ? null : nextGate(this.#guarded.get(key)?.gate ?? null, verdict.held.met, now, this.#times.holdMs);
      this.#guarded.set(key, { conditions: spec.conditions, cwd: spec.cwd, gate, verdict, online: readings.online.value !== 'no' });
    }
  }

  reasons(task: Task, running: boolean, now: number): readonly Reason[] {
    const guarded = this.#guarded.get(keyOf(task));
    if (guarded === undefined) return [];
    const { verdict, gate } = guarded;
    return conditionReasons({ verdict, gate, running, notBefore: task.spec.conditions.notBefore, now, ...this.#times });
  }

  /** False only when a probe says that there is no network: a failed try is then nobody's fault. */
  isOnline(task: Task): boolean {
    return this.#guarded.get(keyOf(task))?.online ?? true;
  }

  /** Milliseconds until the next look is due. */
  dueIn(monotonic: number): number {
    return Math.max(0, this.#lookedAt + this.#times.pollMs - monotonic);
  }

  /** After a sleep nothing that was read need be true. */
  refresh(): void {
    this.#watch.refresh();
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  stop(): void {
    this.#watch.stop();
  }
}

function keyOf({ spec }: Task): string {
  return JSON.stringify([spec.conditions, spec.conditions.onlyIf === null ? '' : spec.cwd]);
}
