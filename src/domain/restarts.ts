import { PosteError } from './errors.js';

/** A file that changed more often than this while it was fetched is given up. */
const MOST_CHANGES = 3;

/** How often a download was begun anew: by this attempt, by all of them, and how often of that the file at the server had changed. */
export interface Restarts {
  readonly here: number;
  readonly all: number;
  readonly changes: number;
}

/** @throws PosteError `keeps-changing`, or `malformed-answer` when a server that keeps its version still never lets it be continued. */
export function checkRestarts({ here, all, changes }: Restarts): void {
  // Both counts: one forgets nothing but restarts with `retry`, the other also counts restarts that are no change.
  if (Math.min(all, changes) > MOST_CHANGES) {
    throw new PosteError('keeps-changing', `the file changed at the server ${changes} times while it was fetched`, {
      hint: 'try again when it is no longer being written, with `poste retry`',
    });
  }
  if (here > MOST_CHANGES) {
    throw new PosteError('malformed-answer', 'the server neither sends the file whole nor continues it', { transient: true });
  }
}
