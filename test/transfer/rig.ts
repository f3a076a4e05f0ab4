import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Representation, TaskSecrets, TaskSpec } from '../../src/domain/task.js';
import { removeParts } from '../../src/store/part-file.js';
import { tempPaths, type TempPaths } from '../../src/store/paths.js';
import { attempt, type AttemptOutcome, type Progress } from '../../src/transfer/attempt.js';
import { Network } from '../../src/transfer/network.js';
import { Throttle } from '../../src/transfer/throttle.js';
import { specOf } from '../support/sessions.js';

const SPEC = specOf({ url: 'http://127.0.0.1/', name: 'file', stallTimeoutMs: 10_000 });

export interface Told {
  readonly names: string[];
  readonly representations: Representation[];
  readonly restarts: { reason: string; bytesDropped: number }[];
  verifications: number;
}

/** A task with a temp of its own, attempted as often as a test likes. */
export interface Rig extends AsyncDisposable {
  readonly temp: TempPaths;
  readonly throttle: Throttle;
  readonly network: Network;
  readonly told: Told;
  /** One attempt. */
  run(more?: RunOptions): Promise<AttemptOutcome>;
  /** Attempts until the outcome is no retry, at most `limit` of them. */
  settle(limit?: number, more?: RunOptions): Promise<AttemptOutcome>;
  /** Content of the part file of an outcome that must be `complete`. */
  bytesOf(outcome: AttemptOutcome): Promise<Buffer>;
  forget(): Promise<void>;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly bootId?: string;
  readonly hadBytes?: boolean;
  readonly isFresh?: boolean;
  readonly onProgress?: (progress: Progress) => void;
  /** A number, which may change meanwhile, or as many as help; one if absent. */
  readonly connections?: 'auto' | number | (() => number);
}

export async function makeRig(spec: Partial<TaskSpec>, secrets: TaskSecrets = {}): Promise<Rig> {
  const dir = await mkdtemp(join(tmpdir(), 'poste-transfer-'));
  const temp = tempPaths(dir);
  const throttle = new Throttle();
  const network = new Network(() => throttle.isLimited);
  const told: Told = { names: [], representations: [], restarts: [], verifications: 0 };
  const run = ({ signal, bootId = 'boot', hadBytes = false, isFresh = false, onProgress, connections = 1 }: RunOptions = {}): Promise<AttemptOutcome> =>
    attempt(
      { task: 1, spec: { ...SPEC, ...spec }, secrets, temp, restarts: told.restarts.length, bootId, hadBytes, isFresh, connections: () => (connections === 'auto' ? { most: 16, auto: true } : { most: typeof connections === 'number' ? connections : connections(), auto: false }) },
      {
        answered: (name, representation) => {
          told.names.push(name);
          told.representations.push(representation);
          return Promise.resolve();
        },
        restarted: (reason, bytesDropped) => {
          told.restarts.push({ reason, bytesDropped });
          return Promise.resolve();
        },
        verifying: () => {
          told.verifications += 1;
          return Promise.resolve();
        },
        progress: (progress) => onProgress?.(progress),
      },
      network,
      throttle,
      signal ?? new AbortController().signal,
    );
  return {
    temp,
    throttle,
    network,
    told,
    run,
    settle: async (limit = 20, more = {}) => {
      let outcome = await run(more);
      for (let n = 1; n < limit && outcome.kind === 'retry'; n += 1) outcome = await run(more);
      return outcome;
    },
    bytesOf: async (outcome) => {
      if (outcome.kind !== 'complete' || !('partGeneration' in outcome)) throw new Error(`not complete: ${JSON.stringify(outcome)}`);
      return readFile(temp.part(1, outcome.partGeneration));
    },
    forget: () => removeParts(temp, 1),
    [Symbol.asyncDispose]: async () => {
      await network.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
