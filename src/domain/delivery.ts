import { hookPending, type Session } from './session.js';
import type { Task } from './task.js';

/** Milliseconds: the first repetition of a failed hook waits this long, each further one twice as long. */
const HOOK_RETRY_BASE = 1000;
const HOOK_RETRIES = 5;

/** Milliseconds until a hook runs again after `failures` failed runs (1 or more); `null` when its five repetitions are used up. */
export function hookRetryDelay(failures: number): number | null {
  return failures > HOOK_RETRIES ? null : HOOK_RETRY_BASE * 2 ** Math.max(0, failures - 1);
}

/** Whether a hook's time has come. One that is further away than any repetition is of a clock that was set back since: it has. */
export function isHookDue(notBefore: number, now: number): boolean {
  return notBefore <= now || notBefore - now > HOOK_RETRY_BASE * 2 ** HOOK_RETRIES;
}

/** One id for all runs of a hook that fell due once. `seq` grows each time that it falls due; `task` is `null` for the session's own. */
export function hookEventId(id: string, task: number | null, seq: number): string {
  return task === null ? `${id}:${seq}` : `${id}:${task}:${seq}`;
}

/** What a hook is told. `null` is what there is not: a failed task has no file, the session's own hook no task. */
export interface HookFacts {
  readonly event: 'finished' | 'failed' | 'complete';
  readonly eventId: string;
  readonly id: string;
  readonly task: number | null;
  /** Absolute. */
  readonly file: string | null;
  readonly name: string | null;
  /** Bytes. */
  readonly size: number | null;
  readonly sha256: string | null;
  /** Redacted. */
  readonly url: string | null;
  readonly to: string | null;
  readonly status: string;
  readonly errorCode: string | null;
}

const PASSED_ON = /^(?:PATH|HOME|LANG|LC_[A-Z]+|TMPDIR|USER|SHELL|POSTE_HOME)$/;

/** The whole environment of a hook: the facts (empty where there is none) and, of the worker's own environment, what a shell and `poste` need. */
export function hookEnvironment(base: Readonly<Record<string, string | undefined>>, facts: HookFacts): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(base)) {
    if (value !== undefined && PASSED_ON.test(name)) environment[name] = value;
  }
  return {
    ...environment,
    POSTE_EVENT: facts.event,
    POSTE_EVENT_ID: facts.eventId,
    POSTE_ID: facts.id,
    POSTE_TASK: text(facts.task),
    POSTE_FILE: text(facts.file),
    POSTE_NAME: text(facts.name),
    POSTE_SIZE: text(facts.size),
    POSTE_SHA256: text(facts.sha256),
    POSTE_URL: text(facts.url),
    POSTE_TO: text(facts.to),
    POSTE_STATUS: facts.status,
    POSTE_ERROR_CODE: text(facts.errorCode),
  };
}

/** The same facts as one line of JSON, for a hook's standard input. */
export function hookInput(facts: HookFacts): string {
  const { event, eventId, id, task, file, name, size, sha256, url, to, status, errorCode } = facts;
  return `${JSON.stringify({ schema: 1, event, eventId, id, task, file, name, size, sha256, url, to, status, errorCode })}\n`;
}

export type HookExit =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: string }
  | { readonly kind: 'timeout'; readonly afterMs: number }
  | { readonly kind: 'not-started'; readonly reason: string };

/** One line for people: how a hook's run ended and the last line that it printed. `tail` must be printable already. */
export function describeHookExit(exit: HookExit, tail: string): string {
  const ended = endOf(exit);
  const lastLine = tail.split('\n').findLast((line) => line.trim() !== '')?.trim();
  return lastLine === undefined ? ended : `${ended}: ${lastLine}`;
}

/** Finished files whose time to be claimed is over. One whose hook has still to run is left for the hook. `now` is epoch milliseconds. */
export function expiredTasks(session: Session, now: number): Task[] {
  return [...session.tasks.values()].filter(
    ({ state, hook }) => state.kind === 'finished' && state.expiresAt !== null && state.expiresAt <= now && !hookPending(hook),
  );
}

function text(value: string | number | null): string {
  return value === null ? '' : String(value);
}

function endOf(exit: HookExit): string {
  switch (exit.kind) {
    case 'exited':
      return `exit ${exit.code}`;
    case 'killed':
      return `killed by ${exit.signal}`;
    case 'timeout':
      return `stopped after ${Math.round(exit.afterMs / 1000)} s`;
    case 'not-started':
      return `did not start: ${exit.reason}`;
  }
}
