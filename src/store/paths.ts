import { dirname, join } from 'node:path';

/** Every path of a session, and the only place that builds one. `temp` is the session's own folder, or `--temp-dir`'s. */
export interface SessionPaths {
  readonly dir: string;
  /** Of the whole home. */
  readonly reserve: string;
  readonly journal: string;
  readonly lock: string;
  readonly guardLock: string;
  readonly owner: string;
  readonly generations: string;
  readonly inbox: string;
  readonly answers: string;
  readonly secrets: string;
  readonly progress: string;
  readonly log: string;
  readonly intents: string;
  readonly receipts: string;
}

/** Where it is kept which servers asked to be left alone. */
export function hostsDir(home: string): string {
  return join(home, 'hosts');
}

/** What the worker of each session has open. */
export function heldConnectionsDir(home: string): string {
  return join(hostsDir(home), 'connections');
}

export function sessionsDir(home: string): string {
  return join(home, 'sessions');
}

/** Where a forgotten session is removed from: beside the others, and seen by nobody. `unique` tells several of one id apart. */
export function gravePath({ dir }: SessionPaths, unique: string): string {
  return join(dirname(dir), `${GRAVE}${unique}`);
}

/** Of a name in the folder of all sessions. */
export function isGrave(name: string): boolean {
  return name.startsWith(GRAVE);
}

const GRAVE = '.forgotten-';

export function reservePath(home: string): string {
  return join(home, 'reserve');
}

export function sessionPaths(home: string, id: string): SessionPaths {
  const dir = join(sessionsDir(home), id);
  return {
    dir,
    reserve: reservePath(home),
    journal: join(dir, 'journal.ndjson'),
    lock: join(dir, 'worker.lock'),
    guardLock: join(dir, 'guard.lock'),
    owner: join(dir, 'owner.json'),
    generations: join(dir, 'gen'),
    inbox: join(dir, 'inbox'),
    answers: join(dir, 'answers'),
    secrets: join(dir, 'secrets.json'),
    progress: join(dir, 'progress.json'),
    log: join(dir, 'worker.log'),
    intents: join(dir, 'intents'),
    receipts: join(dir, 'receipts'),
  };
}

/** Where a task's bytes are while they arrive, and where they wait when they are complete. */
export interface TempPaths {
  readonly dir: string;
  readonly parts: string;
  readonly finished: string;
  part(task: number, partGeneration: number): string;
  extents(task: number, partGeneration: number): string;
  /** The folder that holds nothing but the finished file of `task`. */
  finishedDir(task: number): string;
}

export function tempPaths(temp: string): TempPaths {
  const parts = join(temp, 'parts');
  const finished = join(temp, 'finished');
  return {
    dir: temp,
    parts,
    finished,
    part: (task, partGeneration) => join(parts, `${task}.${partGeneration}.part`),
    extents: (task, partGeneration) => join(parts, `${task}.${partGeneration}.extents`),
    finishedDir: (task) => join(finished, String(task)),
  };
}

/** `turn` counts those who took up the delivery of one task, each after the one before was proved dead or had given up. */
export function intentPath(paths: SessionPaths, task: number, turn = 1): string {
  return join(paths.intents, turn === 1 ? `${task}.json` : `${task}.${turn}.json`);
}

/** Says that the owner ended a delivery whose claimer was dead, and that no claimer has heard of it yet. */
export function untoldPath(paths: SessionPaths, task: number): string {
  return join(paths.intents, `${task}.untold`);
}

export function receiptPath(paths: SessionPaths, task: number): string {
  return join(paths.receipts, `${task}.json`);
}
