import { EXIT_CODE } from '../domain/errors.js';
import { hookPending, isOver, isParked, type Session } from '../domain/session.js';
import { isSettled, type Task } from '../domain/task.js';

/** True when there is nothing more to wait for: settled and told so, or only a person can move what is left. */
export function hasOutcome(session: Session): boolean {
  if (session.tasks.size === 0 || isOver(session)) return true;
  const open = [...session.tasks.values()].filter((task) => !isSettled(task) || hookPending(task.hook));
  return open.length > 0 && open.every((task) => isParked(task) && task.state.kind !== 'paused');
}

/** The same for some of its tasks: others may go on. When they were the last, the session's own hook is waited for too. */
export function haveOutcome(session: Session, numbers: readonly number[]): boolean {
  if (hasOutcome(session)) return true;
  const tasks = numbers.flatMap((number) => session.tasks.get(number) ?? []);
  const open = tasks.filter((task) => !isSettled(task) || hookPending(task.hook));
  if (open.length > 0) return open.every((task) => isParked(task) && task.state.kind !== 'paused');
  return ![...session.tasks.values()].every(isSettled);
}

/** A session's outcome as an exit code: 0 when all is well, the tasks' common one, or 46 when they differ. */
export function outcomeCode(session: Session, tasks: Iterable<Task> = session.tasks.values()): number {
  const codes = new Set<number>();
  for (const task of tasks) {
    const code = taskCode(task);
    if (code !== 0) codes.add(code);
  }
  if (codes.size === 0) return session.completeHook.kind === 'gave-up' ? EXIT_CODE.hook : 0;
  const [only] = codes;
  return codes.size === 1 && only !== undefined ? only : EXIT_CODE.mixed;
}

function taskCode({ state, hook }: Task): number {
  switch (state.kind) {
    case 'finished':
      return hook.kind === 'gave-up' ? EXIT_CODE.hook : 0;
    case 'claimed':
      return 0;
    case 'failed':
      return state.error.exitCode;
    case 'cancelled':
      return EXIT_CODE.cancelled;
    case 'expired':
      return EXIT_CODE.expired;
    case 'waiting':
      if (state.reasons.some(({ code }) => code === 'needs-auth')) return EXIT_CODE.auth;
      if (state.reasons.some(({ code }) => code === 'needs-url')) return EXIT_CODE['not-found'];
      return EXIT_CODE.unfinished;
    default:
      return EXIT_CODE.unfinished;
  }
}
