import { PosteError } from './errors.js';

/** Statuses after which the same request may succeed later by itself. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** The host as a whole asks to be left alone for a while. */
export function isHostBusy(status: number): boolean {
  return status === 429 || status === 503;
}

/** What someone has to give before bytes that are here can be continued; `null` for statuses that nobody can help with. */
export function needOf(status: number): 'needs-auth' | 'needs-url' | null {
  if (status === 401 || status === 403 || status === 407) return 'needs-auth';
  return status === 404 || status === 410 ? 'needs-url' : null;
}

/** An answer with an error status. `host` is `host[:port]`; `words` is the server's own phrase, already made printable. */
export function refusal(status: number, host: string, words: string): PosteError {
  const said = `${host} answered ${status}${words === '' ? '' : ` ${words}`}`;
  if (status === 404 || status === 410) return new PosteError('not-found', said, { hint: 'check the address' });
  if (status === 407) return new PosteError('auth', `the proxy wants to know who asks (407)`, { hint: 'give the proxy with its user and password' });
  if (status === 401 || status === 403) {
    return new PosteError('auth', said, { hint: 'give credentials with --bearer-env NAME or --header-file FILE' });
  }
  if (status === 429 || status >= 500) return new PosteError('overloaded', said, { transient: true });
  return new PosteError('http-status', said, { transient: isTransientStatus(status) });
}
