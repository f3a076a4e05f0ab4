import { PosteError } from './errors.js';
import { redactUrl } from './redact.js';

const MOST_HOPS = 20;

/** The statuses that send a GET elsewhere (RFC 9110, section 15.4); 300 and 304 do not. */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Where a redirect leads, without fragment and userinfo. `chain` holds every URL asked so far, the redirecting one last.
 * @throws PosteError `redirect` for more than 20 hops, another scheme or a step down from https; `malformed-answer` for no usable Location.
 */
export function nextHop(chain: readonly URL[], location: string | null): URL {
  const from = chain.at(-1);
  if (location === null || from === undefined || !URL.canParse(location, from.href)) {
    throw new PosteError('malformed-answer', `${from?.host ?? 'the server'} redirects without a usable Location`);
  }
  const to = new URL(location, from);
  to.hash = '';
  to.username = '';
  to.password = '';
  if (to.protocol !== 'http:' && to.protocol !== 'https:') {
    throw refused(`to ${to.protocol} is refused`, chain, null);
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw refused('from https down to http is refused', chain, to);
  }
  if (chain.length > MOST_HOPS) throw refused(`beyond ${MOST_HOPS} hops is refused, it looks like a loop`, chain, to);
  return to;
}

function refused(why: string, chain: readonly URL[], to: URL | null): PosteError {
  const shown = [...chain, ...(to === null ? [] : [to])].map((url) => redactUrl(url.href));
  const path = shown.length <= 6 ? shown : [...shown.slice(0, 3), '…', ...shown.slice(-2)];
  return new PosteError('redirect', `redirect ${why}: ${path.join(' -> ')}`, { hint: 'give the final address, if you trust it' });
}

export type HeaderPair = readonly [name: string, value: string];

/** What a request may tell any origin; everything else stays with the origin that it was given for. */
const SAFE_EVERYWHERE: ReadonlySet<string> = new Set(['accept', 'accept-language', 'user-agent']);

/** Whether `chain` has never left the origin of its first URL: whoever is elsewhere once is trusted no more, on the way back either. */
export function isAtHome(chain: readonly URL[]): boolean {
  return chain.every((url) => url.origin === chain[0]?.origin);
}

/** The user's headers for the last URL of `chain`. */
export function headersFor(chain: readonly URL[], headers: readonly HeaderPair[]): readonly HeaderPair[] {
  return isAtHome(chain) ? headers : headers.filter(([name]) => isForEveryone(name));
}

export function isForEveryone(headerName: string): boolean {
  return SAFE_EVERYWHERE.has(headerName.toLowerCase());
}
