import { gzipSync } from 'node:zlib';
import { status } from './behaviours.js';
import type { Certificate } from './certificates.js';
import { content, sha256 } from './content.js';
import type { Behaviour, OriginRequest } from './exchange.js';
import { startOrigin, type Origin } from './origin.js';
import type { Kill, Schedule, Step } from './schedule.js';
import { FAULTS, isResume, type Scene, type Version } from './storm-faults.js';

const GOOD = { kind: 'plain', cut: null, bytesPerSecond: Number.POSITIVE_INFINITY, change: null, choice: 0 } as const;
const DAY = 86_400_000;
const SECRET = 'x-storm-secret';

export interface StormOptions {
  readonly certificate: Certificate;
  /** A moment has come at which the schedule wants the worker dead. */
  readonly onKill: (kill: Kill) => void;
}

/**
 * The origin of one storm, and another one that it redirects to. Its logs and the bytes that it had are what the download is judged by.
 */
export async function startStormOrigin(schedule: Schedule, options: StormOptions): Promise<StormOrigin> {
  const storm = new StormOrigin(schedule, options);
  await storm.up();
  return storm;
}

export class StormOrigin implements AsyncDisposable {
  readonly schedule: Schedule;
  /** How often each fault, and each kind of cut, was really done to a request. */
  readonly met = new Map<string, number>();
  readonly #options: StormOptions;
  readonly #versions: readonly Version[];
  readonly #kills: Set<Kill>;
  /** What was sent gzipped, and may be kept so. */
  readonly #gzipped = new Set<Version>();
  /** What the targets of redirects do: by the request that was sent there. */
  readonly #sent = new Map<number, Step>();
  readonly #leaks: string[] = [];
  #main: Origin | null = null;
  #other: Origin | null = null;
  #requests = 0;

  constructor(schedule: Schedule, options: StormOptions) {
    this.schedule = schedule;
    this.#options = options;
    this.#kills = new Set(schedule.kills);
    this.#versions = versionsOf(schedule);
  }

  async up(): Promise<void> {
    const { tls } = this.schedule.server;
    const options = tls ? { tls: this.#options.certificate } : {};
    this.#main = await startOrigin((request) => this.#answer(request), { ...options, onSent: ({ n, path, bodyBytesSent }) => this.#sentSome(n, path, bodyBytesSent) });
    this.#other = await startOrigin((request) => this.#answerElsewhere(request), options);
  }

  get url(): string {
    return this.main.at(`/file/${this.name}`);
  }

  get name(): string {
    return `storm-${this.schedule.seed}.bin`;
  }

  /** The digest to be given with the download, if one is. */
  get digest(): string | null {
    return this.schedule.hasDigest ? sha256(this.#version(this.schedule.steps.length + 1).bytes) : null;
  }

  /** As a header line. */
  get secret(): string | null {
    return this.schedule.hasSecret ? `${SECRET}: ${this.schedule.seed}` : null;
  }

  get main(): Origin {
    if (this.#main === null) throw new Error('the storm has not begun');
    return this.#main;
  }

  get other(): Origin {
    if (this.#other === null) throw new Error('the storm has not begun');
    return this.#other;
  }

  /** Requests for the file itself. */
  get requests(): number {
    return this.#requests;
  }

  /** What is wrong with a file that was delivered; `null` when it is exactly one version that was served. */
  judge(file: Buffer): string | null {
    if (this.#leaks.length > 0) return `a header went where it must not: ${this.#leaks.join(', ')}`;
    if (this.digest !== null && sha256(file) !== this.digest) return 'it does not have the digest that was given';
    const version = this.#versions.findIndex(({ bytes }) => bytes.equals(file));
    if (version >= 0 || [...this.#gzipped].some(({ bytes }) => gzipSync(bytes).equals(file))) return null;
    return `its ${file.length} bytes are no version: ${this.#versions.map(({ bytes }, index) => `${sharedWith(bytes, file)} of the ${bytes.length} of version ${index}`).join(', ')}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.main.close(), this.other.close()]);
  }

  #answer(request: OriginRequest): Behaviour {
    if (request.headers.get('host')?.startsWith('localhost') === true) this.#watch(request);
    if (!request.path.startsWith('/file/')) return this.#target(request);
    this.#requests += 1;
    const n = this.#requests;
    const step = this.#stepAt(n);
    const scene: Scene = { ...this.#sceneOf(request, n, step), expired: this.main.at(`/expired/${n}`), target: (elsewhere, hops = 0) => this.#redirected(n, step, elsewhere, hops) };
    return this.#behave(scene);
  }

  #answerElsewhere(request: OriginRequest): Behaviour {
    this.#watch(request);
    return this.#target(request);
  }

  /** `/target/REQUEST/HOPS`: more hops, then the file. */
  #target(request: OriginRequest): Behaviour {
    const [, place, n = '', hops = ''] = request.path.split('/');
    const step = this.#sent.get(Number(n));
    if (place !== 'target' || step === undefined) return status(403);
    if (Number(hops) > 0) {
      const next = `/target/${n}/${Number(hops) - 1}`;
      return status(302, { headers: [['Location', Number(hops) % 3 === 0 ? next : (Number(hops) % 3 === 1 ? this.other : this.main).at(next)]] });
    }
    const scene = { ...this.#sceneOf(request, Number(n), { ...step, kind: 'plain' }), expired: '', target: () => '' };
    return this.#behave(scene);
  }

  #behave(scene: Scene): Behaviour {
    const { step } = scene;
    const made = FAULTS[step.kind].make(scene);
    if (made !== null) this.#count(step.kind);
    if (step.change !== null) this.#count(`${step.change}-change`);
    const behaviour = made ?? FAULTS.plain.make(scene);
    if (behaviour === null) throw new Error('nothing to do');
    if (step.cut !== null) this.#count(`${step.cut.how}, ${step.framing}${isResume(scene.request) ? ', resumed' : ''}`);
    if (step.kind === 'gzip') this.#gzipped.add(scene.version);
    return behaviour;
  }

  #sceneOf(request: OriginRequest, n: number, step: Step): Pick<Scene, 'request' | 'version' | 'server' | 'step'> {
    return { request, version: this.#version(n), server: this.schedule.server, step };
  }

  #redirected(n: number, step: Step, elsewhere: boolean, hops: number): string {
    this.#sent.set(n, step);
    const origin = elsewhere ? this.other : this.main;
    const path = `/target/${n}/${hops}`;
    if (elsewhere) return origin.at(path);
    // The same server under another name is another origin too.
    return step.choice < 0.85 ? path : origin.at(path).replace('127.0.0.1', 'localhost');
  }

  #stepAt(n: number): Step {
    // An empty body that is not told to be all of an empty file is none.
    return this.schedule.steps[n - 1] ?? { ...GOOD, framing: this.#version(n).bytes.length === 0 ? 'length' : this.schedule.server.framing };
  }

  #version(n: number): Version {
    const changes = this.schedule.steps.slice(0, n).filter(({ change }) => change !== null).length;
    const version = this.#versions[changes];
    if (version === undefined) throw new Error('there is no such version');
    return version;
  }

  #watch({ headers, path }: OriginRequest): void {
    if (headers.get(SECRET) === String(this.schedule.seed)) this.#leaks.push(path);
  }

  #count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }

  #sentSome(n: number, path: string, bytes: number): void {
    if (!path.startsWith('/file/')) return;
    for (const kill of this.#kills) {
      if (kill.request > this.#requestNumber(n) || kill.afterBytes > bytes) continue;
      this.#kills.delete(kill);
      this.#options.onKill(kill);
    }
  }

  /** Which of the requests for the file the one with this number in the log is. */
  #requestNumber(n: number): number {
    return this.main.log.slice(0, n).filter(({ path }) => path.startsWith('/file/')).length;
  }
}

/** Every version that the file will ever have: a silent change keeps its name and its length, and not one byte. */
function versionsOf({ seed, size, steps }: Schedule): readonly Version[] {
  const versions: Version[] = [versionOf(seed, 0, size)];
  for (const { change, choice } of steps) {
    const last = versions.at(-1);
    if (change === null || last === undefined) continue;
    const n = versions.length;
    if (change === 'announced') versions.push(versionOf(seed, n, choice < 0.3 ? last.bytes.length : Math.floor(size * 2 * choice)));
    else versions.push({ ...last, bytes: last.bytes.map((byte) => byte ^ (1 << (n % 8))) as Buffer });
  }
  return versions;
}

function versionOf(seed: number, n: number, size: number): Version {
  return { bytes: content(`${seed}/${n}`, size), etag: `"${seed}-${n}"`, lastModified: new Date(Date.UTC(2020, 0, 1) + n * DAY) };
}

/** How many bytes stand where they do in both. */
function sharedWith(one: Buffer, other: Buffer): number {
  let shared = 0;
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) if (one[at] === other[at]) shared += 1;
  return shared;
}
