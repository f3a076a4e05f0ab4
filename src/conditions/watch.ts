import { inputsOf, type Input, type Reading, type Readings } from '../domain/conditions.js';
import type { TaskConditions } from '../domain/task.js';
import { probeIdle } from './idle.js';
import { probeMetered } from './network.js';
import { runOnlyIf } from './only-if.js';
import { probeAc, probeLowPower } from './power.js';
import type { Env, Finding, ProbeContext } from './probe.js';
import { allUnknown, readProbeFile } from './probe-file.js';

type Probe<F> = (context: ProbeContext) => Promise<F>;

const PROBES: Readonly<Record<Input, Probe<Finding>>> = {
  ac: probeAc,
  idle: probeIdle,
  metered: probeMetered,
  lowPower: probeLowPower,
  // Asking the server is the only test of being online that means anything, and the transfer makes it.
  online: () => Promise.resolve({ value: 'unknown', detail: 'found out by trying', source: 'none' }),
};

const PROBE_LIMIT_MS = 2000;
const ONLY_IF_LIMIT_MS = 10_000;

interface Look {
  readonly reading: Promise<Reading>;
  freshUntil: number;
  /** The probe itself has ended, however late. */
  ended: boolean;
}

/**
 * Reads the inputs that conditions depend on. Never throws. A probe that takes more than 2 s answers unknown; an
 * `--only-if` command is killed after 10 s and answers no. What was read is good for half of `pollMs`, so that all
 * tasks of one round share one look.
 */
export class ConditionWatch {
  readonly #env: Env;
  readonly #pollMs: number;
  readonly #looks = new Map<string, Look>();
  readonly #underWay = new Set<AbortController>();
  #stopped = false;

  constructor({ env, pollMs }: { env: Env; pollMs: number }) {
    this.#env = env;
    this.#pollMs = pollMs;
  }

  /** What `conditions` looks at; the rest is unknown and says that nobody asked. `cwd` is where `--only-if` runs. */
  async read(conditions: TaskConditions, cwd: string): Promise<Readings> {
    const file = this.#env['POSTE_PROBE_FILE'];
    const [inputs, onlyIf] = await Promise.all([
      file ? this.#readProbeFile(file) : this.#probe(inputsOf(conditions)),
      conditions.onlyIf === null ? null : this.#runOnlyIf(conditions.onlyIf, cwd),
    ]);
    return { ...inputs, onlyIf };
  }

  /** Forgets what was read: after a sleep nothing of it need be true. */
  refresh(): void {
    for (const look of this.#looks.values()) look.freshUntil = 0;
  }

  /** Kills every command under way, with its children. Later reads find nothing out. */
  stop(): void {
    this.#stopped = true;
    for (const controller of this.#underWay) controller.abort();
  }

  async #probe(needed: ReadonlySet<Input>): Promise<Record<Input, Reading>> {
    const late: Finding = { value: 'unknown', detail: 'the probe did not answer in time', source: 'none' };
    const read = (input: Input): Promise<Reading> =>
      needed.has(input) ? this.#look(input, PROBE_LIMIT_MS, late, PROBES[input]) : Promise.resolve(notAsked());
    const [ac, idle, metered, lowPower, online] = await Promise.all([
      read('ac'),
      read('idle'),
      read('metered'),
      read('lowPower'),
      read('online'),
    ]);
    return { ac, idle, metered, lowPower, online };
  }

  /** Read anew at each check, as whoever writes it expects. */
  async #readProbeFile(path: string): Promise<Record<Input, Reading>> {
    const late = allUnknown('the probe file could not be read in time');
    const { ac, idle, metered, lowPower, online } = await this.#bounded(PROBE_LIMIT_MS, late, () => readProbeFile(path));
    const at = Date.now();
    return {
      ac: { ...ac, at },
      idle: { ...idle, at },
      metered: { ...metered, at },
      lowPower: { ...lowPower, at },
      online: { ...online, at },
    };
  }

  #runOnlyIf(command: string, cwd: string): Promise<Reading> {
    const detail = `the --only-if command ran for ${ONLY_IF_LIMIT_MS / 1000} s and was killed`;
    const late: Finding = { value: 'no', detail, source: '--only-if' };
    return this.#look(JSON.stringify([command, cwd]), ONLY_IF_LIMIT_MS, late, (context) => runOnlyIf(context, command, cwd));
  }

  #look(key: string, limitMs: number, late: Finding, probe: Probe<Finding>): Promise<Reading> {
    const now = Date.now();
    const last = this.#looks.get(key);
    // A probe that is stuck in the kernel is not joined by a second one: each holds one of the few threads for files.
    if (last !== undefined && (!last.ended || now < last.freshUntil)) return last.reading;
    const toItsEnd: Probe<Finding> = (context) =>
      probe(context).finally(() => {
        look.ended = true;
      });
    const reading = this.#bounded(limitMs, late, toItsEnd).then((finding) => ({ ...finding, at: Date.now() }));
    const look: Look = { reading, freshUntil: now + this.#pollMs / 2, ended: false };
    this.#looks.set(key, look);
    return reading;
  }

  async #bounded<F>(limitMs: number, late: F, probe: Probe<F>): Promise<F> {
    if (this.#stopped) return late;
    const controller = new AbortController();
    this.#underWay.add(controller);
    const timer = setTimeout(() => {
      controller.abort();
    }, limitMs);
    const aborted = new Promise<F>((resolve) => {
      controller.signal.addEventListener('abort', () => {
        resolve(late);
      });
    });
    try {
      return await Promise.race([aborted, probe({ env: this.#env, signal: controller.signal }).catch(() => late)]);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(controller);
    }
  }
}

function notAsked(): Reading {
  return { value: 'unknown', detail: 'no condition asks for it', source: 'none', at: Date.now() };
}
