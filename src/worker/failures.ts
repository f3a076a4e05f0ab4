import { errorInfo, PosteError, type ErrorInfo } from '../domain/errors.js';
import type { AttemptOutcome } from '../transfer/attempt.js';

/** A failure beside the attempt itself: what passes by itself (a full disk) is tried again. */
export function failure(error: ErrorInfo): AttemptOutcome {
  if (!error.transient) return { kind: 'failed', error };
  return { kind: 'retry', error, progressed: false, unreached: false, retryAfterMs: null, hostBusy: false, waitFor: error.code === 'disk-full' ? 'disk-full' : null };
}

/** What was secret of the task is lost: without it the server would give something else, or nothing. */
export function without(missing: 'url' | 'headers'): AttemptOutcome {
  const lost = missing === 'url' ? 'exact address' : 'headers';
  const error = new PosteError('auth', `the record of this task's ${lost} is lost; what has arrived is kept: give the start command again as it was`);
  return { kind: 'needs', code: missing === 'url' ? 'needs-url' : 'needs-auth', error: errorInfo(error) };
}

/** A failure that is the last one: `tries` in a row brought no new byte. */
export function exhausted(error: ErrorInfo, tries: number): ErrorInfo {
  return { ...error, message: `${error.message}; given up after ${tries} tries in a row without a new byte`, transient: false };
}
