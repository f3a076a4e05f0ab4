import { EXIT_CODE, PosteError } from '../domain/errors.js';
import type { Session } from '../domain/session.js';
import { timerMs } from '../platform/timer.js';
import { follow, type Following, type Observation } from '../session/follow.js';
import type { ProgressView } from './progress-view.js';

export interface Observed {
  readonly session: Session;
  /** The last event that was shown. */
  readonly lastSeq: number;
  /** Why it ended before the session had an outcome; `null` when it has one. */
  readonly ended: NodeJS.Signals | 'timeout' | null;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Follows a session on a view until its outcome, Ctrl-C or the time limit. Every way out leaves the terminal in order. */
export async function observe(
  following: Omit<Following, 'signal'>,
  timeoutMs: number | null,
  view: ProgressView,
): Promise<Observed> {
  const abort = new AbortController();
  let ended: Observed['ended'] = null;
  const end = (why: NodeJS.Signals | 'timeout'): void => {
    ended ??= why;
    abort.abort();
  };
  const timer = timeoutMs === null ? null : setTimeout(end, timerMs(timeoutMs), 'timeout');
  for (const signal of SIGNALS) process.on(signal, end);
  let lastSeq = 0;
  try {
    const steps = follow({ ...following, signal: abort.signal });
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return { session: step.value, lastSeq, ended };
      lastSeq = seqOf(step.value) ?? lastSeq;
      await view.show(step.value);
    }
  } finally {
    view.end();
    if (timer !== null) clearTimeout(timer);
    for (const signal of SIGNALS) process.off(signal, end);
  }
}

function seqOf(observation: Observation): number | null {
  return observation.kind === 'event' ? observation.event.seq : observation.kind === 'caught-up' ? observation.lastSeq : null;
}

/** What ends a `--timeout`, and what happens then. */
export function timedOut(id: string): PosteError {
  return new PosteError('timeout', `the time is up; session ${id} goes on in the background`, { hint: `come back: poste attach --id ${id}` });
}

/** The exit code of a command that its user ended; what it watched goes on. Detaching is what Ctrl-C means to `attach`. */
export function endedCode(signal: NodeJS.Signals, command: 'attach' | 'wait'): number {
  if (signal === 'SIGTERM') return 143;
  return command === 'wait' && signal === 'SIGINT' ? EXIT_CODE.interrupted : EXIT_CODE.unfinished;
}
