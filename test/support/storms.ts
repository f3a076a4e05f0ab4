import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SessionEvent } from '../../src/domain/events.js';
import { isParked } from '../../src/domain/session.js';
import type { Task } from '../../src/domain/task.js';
import { JournalReader } from '../../src/store/journal-reader.js';
import { readOwner } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import type { Certificates } from './certificates.js';
import { makeHome, type Home } from './poste.js';
import type { Kill } from './schedule.js';
import { scheduleOf } from './schedule.js';
import { startStormOrigin, type StormOrigin } from './storm-origin.js';
import { SessionWorker } from './worker.js';

const ID = 'storm';
const ENV = { POSTE_BACKOFF: '0.02' };
/** Silence of a server that ends its turn. */
const STALL = '1s';
const LOOK_MS = 40;
/** Whatever is not over by then is stuck: on an idle machine the slowest session takes a tenth of it. */
const DEADLINE_MS = 180_000;
/** How often a user says `retry`. */
const MOST_RETRIES = 12;

export interface StormResult {
  readonly seed: number;
  readonly end: 'delivered' | 'stuck';
  /** In words; `null` when all is right. */
  readonly wrong: string | null;
  readonly requests: number;
  readonly met: ReadonlyMap<string, number>;
  /** The schedule, and what the origin saw. */
  readonly story: string;
}

export interface StormReport {
  readonly storms: readonly StormResult[];
  readonly kills: number;
  readonly mostDescriptors: number;
  /** Errors that downloads ended with before they were tried again, by code. */
  readonly failures: ReadonlyMap<string, number>;
  /** What a worker should not have done, whatever became of the files. */
  readonly findings: readonly string[];
}

/** Goes through storms as the tasks of one session: each must end in a file that is exactly one version of what its origin had. */
export async function runStorms(seeds: readonly number[], certificates: Certificates): Promise<StormReport> {
  await using home = await makeHome();
  const kills: Kill[] = [];
  const onKill = (kill: Kill): void => void kills.push(kill);
  const origins = await Promise.all(seeds.map((seed) => startStormOrigin(scheduleOf(seed), { certificate: certificates.good, onKill })));
  try {
    const session = new StormSession(home, origins, certificates.caFile, kills);
    return await session.run();
  } finally {
    await Promise.all(origins.map((origin) => origin[Symbol.asyncDispose]()));
  }
}

class StormSession {
  readonly #home: Home;
  readonly #origins: readonly StormOrigin[];
  readonly #caFile: string;
  readonly #worker: SessionWorker;
  readonly #kills: Kill[];
  readonly #journal: JournalReader;
  readonly #events: SessionEvent[] = [];
  readonly #failures = new Map<string, number>();
  #retries = 0;

  constructor(home: Home, origins: readonly StormOrigin[], caFile: string, kills: Kill[]) {
    this.#home = home;
    this.#origins = origins;
    this.#caFile = caFile;
    this.#worker = new SessionWorker(home, ID, ENV);
    this.#kills = kills;
    this.#journal = new JournalReader(join(home.sessionDir(ID), 'journal.ndjson'));
  }

  /** Of storms that go through one session together, each has the same. */
  get #connections(): number {
    return Math.max(...this.#origins.map(({ schedule }) => schedule.connections));
  }

  async run(): Promise<StormReport> {
    await this.#start();
    const deadline = Date.now() + DEADLINE_MS;
    while (Date.now() < deadline && this.#retries <= MOST_RETRIES && !(await this.#step()));
    const files = await this.#claim();
    const words = await this.#worker.words();
    if (words !== '') this.#worker.findings.push(`a worker wrote to its log: ${words}`);
    const most = 24 + (6 + 2 * this.#connections) * this.#origins.length;
    if (this.#worker.mostDescriptors > most) this.#worker.findings.push(`a worker had ${this.#worker.mostDescriptors} descriptors open`);
    const seeds = this.#origins.map(({ schedule }) => schedule.seed);
    return {
      storms: this.#origins.map((origin, index) => this.#judge(origin, index + 1, files.get(index + 1))),
      kills: this.#worker.kills,
      mostDescriptors: this.#worker.mostDescriptors,
      failures: this.#failures,
      findings: this.#worker.findings.map((finding) => `STORM_SEED=${seeds[0] ?? ''}-${seeds.at(-1) ?? ''} npm run storms: ${finding}`),
    };
  }

  async #start(): Promise<void> {
    const input = this.#origins.map(({ url, name, digest, secret }) =>
      JSON.stringify({ url, out: name, ...(digest === null ? {} : { checksum: `sha256:${digest}` }), ...(secret === null ? {} : { headers: [secret] }) }),
    );
    const flags = ['--jobs', String(this.#origins.length), '--connections', String(this.#connections), '--stall-timeout', STALL, '--cacert', this.#caFile];
    await this.#command(['start', '--id', ID, ...flags, '-i', '-'], input.join('\n'));
    await this.#adopt();
  }

  async #command(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.#home.run(args, { input, env: ENV, timeoutMs: 60_000 });
    if (code !== 0) throw new Error(`poste ${args.join(' ')}: exit ${String(code)}\n${stdout}${stderr}${await this.#worker.words()}`);
    return stdout;
  }

  /** Looks at the worker and at what it says has become of the downloads, and does what is due. True when all is over. */
  async #step(): Promise<boolean> {
    const kill = this.#kills.shift();
    if (kill !== undefined) {
      if (kill.delayMs > 0) await delay(kill.delayMs);
      if (await this.#worker.kill()) await this.#worker.start();
      return false;
    }
    if (await this.#worker.lives()) {
      await delay(LOOK_MS);
      return false;
    }
    for (const event of await this.#journal.poll()) this.#note(event);
    const { pid } = this.#worker;
    if (pid !== null && !this.#events.some((event) => event.type === 'worker.exited' && event.pid === pid)) {
      this.#worker.findings.push(`worker ${pid} died without a kill`);
      await this.#worker.start();
      return false;
    }
    const open = this.#tasks().filter(({ state }) => state.kind !== 'finished');
    if (open.length === 0) return true;
    // The worker has left: what is not finished has failed, or waits for its user.
    const unexpected = open.filter((task) => task.state.kind !== 'failed' && !isParked(task));
    if (unexpected.length > 0) this.#worker.findings.push(`the worker left ${unexpected.map(({ number, state }) => `${number} ${state.kind}`).join(', ')}`);
    this.#retries += 1;
    await this.#command(['retry', '--id', ID]);
    await this.#adopt();
    return false;
  }

  #note(event: SessionEvent): void {
    this.#events.push(event);
    if (event.type === 'task.failed') this.#countFailure(event.error.code);
    if (event.type === 'task.waiting') for (const { code } of event.reasons) if (code.startsWith('needs-')) this.#countFailure(code);
  }

  #countFailure(code: string): void {
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
    if (['internal', 'io', 'worker', 'disk-full', 'damaged', 'tls'].includes(code)) this.#worker.findings.push(`a download failed with ${code}`);
  }

  async #adopt(): Promise<void> {
    const holder = await readOwner(sessionPaths(this.#home.dir, ID));
    this.#worker.adopt(holder.kind === 'live' ? holder.owner.identity.pid : null);
  }

  #tasks(): readonly Task[] {
    return [...(this.#journal.session?.tasks.values() ?? [])];
  }

  /** The bytes of each file that was delivered, by task. */
  async #claim(): Promise<ReadonlyMap<number, Buffer>> {
    for (const event of await this.#journal.poll()) this.#note(event);
    await this.#worker.kill();
    const files = new Map<number, Buffer>();
    if (!this.#tasks().some(({ state }) => state.kind === 'finished')) return files;
    const paths = (await this.#command(['claim', '--id', ID])).split('\n').filter(Boolean);
    for (const [index, { name }] of this.#origins.entries()) {
      const path = paths.find((claimed) => claimed.endsWith(`/${name}`));
      if (path !== undefined) files.set(index + 1, await readFile(path));
    }
    return files;
  }

  #judge(origin: StormOrigin, number: number, file: Buffer | undefined): StormResult {
    const { schedule, met, requests } = origin;
    // Each step one, what each kill and each `retry` interrupts, and a few to end it well.
    const most = schedule.steps.length + schedule.connections * (2 * this.#worker.kills + 2 * this.#retries + 10);
    const tooMany = requests > most ? `${requests} requests, more than ${most}` : null;
    const wrong = file === undefined ? `stuck: ${JSON.stringify(this.#tasks()[number - 1]?.state)}` : (origin.judge(file) ?? tooMany);
    return { seed: schedule.seed, end: file === undefined ? 'stuck' : 'delivered', wrong, requests, met, story: storyOf(origin, this.#events, number) };
  }
}

function storyOf({ schedule, main, other }: StormOrigin, events: readonly SessionEvent[], task: number): string {
  const lines = [main, other].flatMap((origin) =>
    origin.log.map(({ n, time, path, headers, status, bodyBytesSent, ended }) => ({
      time,
      text: `${origin === main ? 'origin' : 'other '} ${n} ${path} range ${headers.get('range') ?? '-'} if-range ${headers.get('if-range') ?? '-'}: ${status ?? '-'}, ${bodyBytesSent} bytes, ${ended}`,
    })),
  );
  for (const event of events) {
    if (event.type === 'worker.started') lines.push({ time: event.time, text: '  a worker started' });
    if (!('task' in event) || event.task !== task) continue;
    const { seq, gen, time, type, task: _, ...more } = event;
    lines.push({ time, text: `  ${type} ${JSON.stringify(more)}` });
  }
  const { steps, ...rest } = schedule;
  return [
    JSON.stringify(rest),
    ...steps.map((step, index) => `step ${index + 1}: ${JSON.stringify(step)}`),
    ...lines.sort((a, b) => a.time - b.time).map(({ time, text }) => `${new Date(time).toISOString().slice(14, 23)} ${text}`),
  ].join('\n');
}
