import { ConditionWatch } from '../conditions/watch.js';
import { judgeConditions, type ConditionVerdict } from '../domain/conditions.js';
import { conditionReasons, nextGate, type Gate } from '../domain/gate.js';
import { parsePolicyTimes, type PolicyTimes } from '../domain/policy-times.js';
import { relaxWhen } from '../domain/relax-when.js';
import { isSettled, type Reason, type Task } from '../domain/task.js';
import { PerTask } from './per-task.js';

interface Guarded {
  readonly gate: Gate | null;
  readonly verdict: ConditionVerdict;
  readonly online: boolean;
}

/** One gate for each set of conditions in the session. Probes run beside the worker's loop: a slow one keeps nobody waiting. */
export class Gates {
  readonly #watch: ConditionWatch;
  readonly #times: PolicyTimes;
  readonly #onLook: () => void;
  readonly #guarded = new Map<string, Guarded>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #keys = '';
  #looking = false;

  /** `onLook` is called when a round of probes has brought new verdicts. */
  constructor(env: NodeJS.ProcessEnv, onLook: () => void) {
    this.#times = parsePolicyTimes(env);
    this.#watch = new ConditionWatch({ env, pollMs: this.#times.pollMs });
    this.#onLook = onLook;
  }

  /** Starts a round of probes for what the tasks' conditions need, when one is due and none is under way. Milliseconds, monotonic. */
  look(tasks: Iterable<Task>, monotonic: number): void {
    const asked = new Map<string, Task>();
    for (const task of tasks) if (!isSettled(task)) asked.set(gateKeys.of(task), task);
    const keys = [...asked.keys()].join('\n');
    if (this.#looking || (monotonic - this.#lookedAt < this.#times.pollMs && keys === this.#keys && !this.#isChangeDue())) return;
    this.#lookedAt = monotonic;
    this.#keys = keys;
    for (const key of this.#guarded.keys()) if (!asked.has(key)) this.#guarded.delete(key);
    if (asked.size === 0) return;
    this.#looking = true;
    void Promise.all([...asked].map(([key, task]) => this.#judge(key, task))).finally(() => {
      this.#looking = false;
      this.#onLook();
    });
  }

  /** A gate is to open or close by now, if a look finds things as they were. */
  #isChangeDue(): boolean {
    const now = Date.now();
    return [...this.#guarded.values()].some(({ gate }) => gate?.changesAt != null && gate.changesAt <= now);
  }

  async #judge(key: string, { spec, createdAt }: Task): Promise<void> {
    const { by, when } = spec.conditions;
    const relaxed = by === null ? when : relaxWhen(when, { createdAt, by, now: Date.now() });
    const conditions = { ...spec.conditions, when: relaxed };
    const readings = await this.#watch.read(conditions, spec.cwd);
    const now = Date.now();
    const verdict = judgeConditions(conditions, readings, now);
    const gate = verdict.held === null ? null : nextGate(this.#guarded.get(key)?.gate ?? null, verdict.held.met, now, this.#times.holdMs);
    this.#guarded.set(key, { gate, verdict, online: readings.online.value !== 'no' });
  }

  /** Why the task's conditions keep it from running; `null` before they were looked at, unless it has none. */
  reasons(task: Task, running: boolean, now: number): readonly Reason[] | null {
    const guarded = this.#guarded.get(gateKeys.of(task));
    if (guarded === undefined) return isUnconditional(task) ? [] : null;
    const { verdict, gate } = guarded;
    return conditionReasons({ verdict, gate, running, notBefore: task.spec.conditions.notBefore, now, ...this.#times });
  }

  /** False only when a probe says that there is no network: a failed try is then nobody's fault. */
  isOnline(task: Task): boolean {
    return this.#guarded.get(gateKeys.of(task))?.online ?? true;
  }

  /** Milliseconds until the next look is due. */
  dueIn(monotonic: number): number {
    return this.#looking ? this.#times.pollMs : Math.max(0, this.#lookedAt + this.#times.pollMs - monotonic);
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

/** Tasks with the same conditions share a gate; those with a deadline relax each in its own time. */
const gateKeys = new PerTask(({ spec: { conditions, cwd }, createdAt }) =>
  JSON.stringify([conditions, conditions.onlyIf === null ? '' : cwd, conditions.by === null ? 0 : createdAt]),
);

function isUnconditional({ spec: { conditions } }: Task): boolean {
  return conditions.when === null && conditions.onlyIf === null && conditions.notBefore === null && !conditions.unmetered;
}
