import { readdir, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { PosteError } from '../domain/errors.js';
import { liveness, ownIdentity, type Liveness, type ProcessIdentity } from '../platform/process-identity.js';
import { diskError } from '../store/disk-error.js';
import { isThere, makeDirIn, readWhatever, removeIfThere, replaceFile, systemCode } from '../store/files.js';
import { intentPath, type SessionPaths } from '../store/paths.js';
import { seal } from '../store/sealed.js';
import { Together } from '../store/together.js';
import { createIntent, formatIntent, parseIntent, type Intent } from './intent-files.js';
import type { Move } from './move.js';

const POLL_MS = 50;
/** Between two tries to give back a turn that could not be given back. */
const AGAIN_MS = 1000;
/** What is left under the name of a turn that means nothing any more. */
const OVER = seal({ v: 1, over: true });

export type { Intent } from './intent-files.js';

export interface TurnRequest {
  readonly task: number;
  readonly by: 'claim' | 'hook';
  /** Of the hook's run that takes the turn. */
  readonly eventId: string | null;
  readonly move: Move | null;
  /** `POSTE_EVENT_ID`, when the one who takes the turn was itself started by a hook. */
  readonly insideHook: string | null;
}

export type TurnAttempt =
  | { readonly kind: 'taken'; readonly turn: Turn }
  | { readonly kind: 'held'; readonly intent: Intent; readonly proof: 'alive' | 'unknown' };

/**
 * Waits until nobody else delivers the task, then takes its delivery: a claim waits for a running hook.
 * `waitMs` is in milliseconds; `null` waits for as long as it takes.
 * @throws PosteError `timeout` while another is at it; `owned-elsewhere` when that one cannot be judged from here; `newer-version`
 */
export async function takeTurn(paths: SessionPaths, request: TurnRequest, waitMs: number | null): Promise<Turn> {
  const deadline = waitMs === null ? Infinity : Date.now() + waitMs;
  for (;;) {
    const attempt = await tryTurn(paths, request);
    if (attempt.kind === 'taken') return attempt.turn;
    // Whether one of another host lives can never be seen from here: to wait for him may be to wait for ever.
    if (attempt.proof === 'unknown' || Date.now() >= deadline) throw stillHeld(attempt);
    await delay(POLL_MS);
  }
}

/**
 * Turns are numbered and made exclusively. A new one is made only when every earlier one is given back, given up, or its maker proved dead,
 * so two that judge the same dead maker at once are told apart by who makes the next number. A number that anyone may have judged dead
 * is not used again before the task is claimed, and then there is nothing left to deliver. Only the first turn is removed when it is given
 * back: its maker lives, so nobody can have judged it.
 */
export async function tryTurn(paths: SessionPaths, request: TurnRequest): Promise<TurnAttempt> {
  if (!(await folders.run(paths.intents))) throw new PosteError('no-session', 'the session was forgotten meanwhile; nothing was claimed');
  for (;;) {
    const earlier = await readTurns(paths, request.task);
    for (const { intent } of earlier) {
      if (intent === null || intent.maker === null) continue;
      if (yieldsTo(request, intent)) continue;
      const proof = livenessOf(intent);
      if (proof !== 'dead') return { kind: 'held', intent, proof };
    }
    const left = earlier.flatMap(({ number, intent }) => (intent === null || yieldsTo(request, intent) ? [] : [{ number, intent }]));
    const { task, by, eventId, move } = request;
    const lowest = 1 + Math.max(0, ...earlier.flatMap(({ number, intent }) => (intent !== null && yieldsTo(request, intent) ? [number] : [])));
    const turn = new Turn(paths, { number: earlier.length + 1, lowest }, { task, by, eventId, move, maker: ownIdentity(), at: Date.now() }, left);
    if (await turn.create()) return { kind: 'taken', turn };
  }
}

const folders = new Together(makeDirIn);

/** Of whoever delivers: the maker, or the hook that goes on without it. */
export function livenessOf({ maker, hook }: Intent): Liveness {
  const proof = maker === null ? 'dead' : liveness(maker);
  return proof === 'dead' && hook !== undefined ? liveness(hook) : proof;
}

/** An intent whose maker is gone; whoever holds the turn settles it. */
export interface LeftIntent {
  readonly number: number;
  readonly intent: Intent;
}

/** The numbers of the tasks of which anyone ever took a turn that is still there. */
export async function tasksWithIntents(paths: SessionPaths): Promise<number[]> {
  const names = await readdir(paths.intents).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  });
  return [...new Set(names.flatMap((name) => (/^\d+\.(?:\d+\.)?json$/.test(name) ? [Number.parseInt(name, 10)] : [])))];
}

/** All turns that were taken for a task, in order; `intent` is `null` for one that was given back, or is damaged beyond reading. */
export async function readTurns(paths: SessionPaths, task: number): Promise<{ number: number; intent: Intent | null }[]> {
  const turns = [];
  for (let number = 1; ; number += 1) {
    const path = intentPath(paths, task, number);
    // One look decides whether it is there: between two, somebody else may take the number.
    const text = await readWhatever(path);
    if (text === null) return turns;
    turns.push({ number, intent: parseIntent(text, task) });
  }
}

/** The sole right to deliver one task, until it is released, given up or closed. */
export class Turn {
  readonly left: readonly LeftIntent[];
  readonly #paths: SessionPaths;
  readonly #number: number;
  /** What lies below is of the hook in whose run this turn was taken: it goes on. */
  readonly #lowest: number;
  #intent: Intent;
  #over = false;

  constructor(paths: SessionPaths, { number, lowest = 1 }: { readonly number: number; readonly lowest?: number }, intent: Intent, left: readonly LeftIntent[]) {
    this.#paths = paths;
    this.#number = number;
    this.#lowest = lowest;
    this.#intent = intent;
    this.left = left;
  }

  get move(): Move | null {
    return this.#intent.move;
  }

  /** Makes the turn durable; false when another was faster. */
  async create(): Promise<boolean> {
    const path = this.#path(this.#number);
    try {
      return await createIntent(path, this.#intent);
    } catch (error) {
      // Made, if not durably: it would be this process's for as long as that lives.
      const made = await readWhatever(path).catch(() => null);
      if (made !== null && isSame(parseIntent(made, this.#intent.task), this.#intent)) await this.release().catch(() => undefined);
      throw diskError(error, path);
    }
  }

  /** Says, durably and before it happens, what may be found at the destination from now on. */
  async record(move: Move): Promise<void> {
    if (JSON.stringify(move) === JSON.stringify(this.#intent.move)) return;
    await this.#write({ ...this.#intent, move });
  }

  /** Says who runs the hook before it does anything. */
  async runBy(hook: ProcessIdentity): Promise<void> {
    await this.#write({ ...this.#intent, hook });
  }

  /** What a dead maker left was put in order. */
  async settled({ number }: LeftIntent): Promise<void> {
    await replaceFile(this.#path(number), OVER, { durable: true });
  }

  /**
   * Nothing was delivered and nothing is left lying about: the next one may try. Does nothing after the turn's end. When it rejects, it is
   * tried again for as long as this process lives: nobody else may have the turn before.
   */
  async release(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      await this.#giveBack();
    } catch (error) {
      void this.#giveBackLater();
      throw error;
    }
  }

  /** How it ended is not known (nobody confirmed the claim): whoever comes next finds out and completes it. */
  async giveUp(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#write({ ...this.#intent, maker: null });
  }

  /** The task is claimed, durably, and all that it left in temp is gone: no turn of it means anything any more, but for that of a hook which goes on. */
  async close(): Promise<void> {
    for (let number = this.#number; number >= this.#lowest; number -= 1) await rm(this.#path(number), { recursive: true, force: true });
    this.#over = true;
  }

  async #giveBack(): Promise<void> {
    const path = this.#path(this.#number);
    if (this.#number === 1 && this.#intent.by === 'claim') await removeIfThere(path);
    // A claim from inside a hook's run may have delivered the task and swept its turns.
    else if (await isThere(path)) await replaceFile(path, OVER, { durable: true });
  }

  async #giveBackLater(): Promise<void> {
    do await delay(AGAIN_MS, undefined, { ref: false });
    while (!(await this.#giveBack().then(() => true, () => false)));
  }

  async #write(intent: Intent): Promise<void> {
    const path = this.#path(this.#number);
    try {
      await replaceFile(path, formatIntent(intent), { durable: true });
    } catch (error) {
      throw diskError(error, path);
    }
    this.#intent = intent;
  }

  #path(number: number): string {
    return intentPath(this.#paths, this.#intent.task, number);
  }
}

function isSame(one: Intent | null, other: Intent): boolean {
  return one !== null && one.at === other.at && JSON.stringify(one.maker) === JSON.stringify(other.maker);
}

/** A hook that claims its own task by a command of its own would wait for itself otherwise. */
function yieldsTo({ insideHook }: TurnRequest, intent: Intent): boolean {
  return intent.by === 'hook' && insideHook !== null && intent.eventId === insideHook;
}

export function stillHeld({ intent, proof }: TurnAttempt & { kind: 'held' }, consequence = 'the file is kept'): PosteError {
  const who = intent.by === 'hook' ? 'its hook is running' : 'another claim is moving it';
  if (proof === 'unknown') {
    return new PosteError('owned-elsewhere', `task ${intent.task}: ${who} on ${intent.maker?.host ?? 'another host'}; ${consequence}`, {
      hint: 'go on from there: only its own host can tell whether it lives',
    });
  }
  const message = `task ${intent.task}: ${who} (process ${intent.maker?.pid ?? 'unknown'}) and has not ended; ${consequence}`;
  return new PosteError('timeout', message, { hint: 'try again later', transient: true });
}
