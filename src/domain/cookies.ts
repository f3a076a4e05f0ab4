import { PosteError } from './errors.js';

/** One line of a Netscape `cookies.txt`. */
export interface Cookie {
  /** Lower case, without a leading dot. */
  readonly domain: string;
  readonly forSubdomains: boolean;
  readonly path: string;
  /** For https only. */
  readonly secure: boolean;
  readonly name: string;
  readonly value: string;
}

const HTTP_ONLY = '#HttpOnly_';

/**
 * Reads a Netscape `cookies.txt`, as browsers' add-ons and `curl -c` write it: seven fields between tabs. What has expired at `now`
 * (epoch milliseconds) is left out; an expiry of 0 is a cookie of the browser's session and counts.
 * @throws PosteError `usage`, naming the line and nothing that stands in it
 */
export function parseCookies(text: string, now: number): Cookie[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const written = line.startsWith(HTTP_ONLY) ? line.slice(HTTP_ONLY.length) : line;
    if (written.trim() === '' || written.startsWith('#')) return [];
    const [domain = '', subdomains = '', path = '', secure = '', expires = '', name, value = '', ...more] = written.split('\t');
    const isSound = /^(TRUE|FALSE)$/i.test(subdomains) && path.startsWith('/') && /^(TRUE|FALSE)$/i.test(secure) && /^-?\d+(\.\d+)?$/.test(expires);
    if (domain === '' || name === undefined || !isSound || more.length > 0) {
      throw new PosteError('usage', `line ${index + 1} of the cookie file is no line of a cookies.txt`, {
        hint: 'domain, subdomains, path, secure, expiry, name and value, with tabs between them',
      });
    }
    if (Number(expires) !== 0 && Number(expires) * 1000 <= now) return [];
    const cookie = { domain: domain.replace(/^\./, '').toLowerCase(), forSubdomains: isTrue(subdomains), path, secure: isTrue(secure), name, value };
    return [cookie];
  });
}

/** What a browser would send to `url` (RFC 6265, section 5.4), as the value of one Cookie header; `null` when it would send none. */
export function cookieHeader(cookies: readonly Cookie[], url: URL): string | null {
  const pairs = cookies
    .filter((cookie) => isFor(cookie, url))
    .sort((a, b) => b.path.length - a.path.length)
    .map(({ name, value }) => (name === '' ? value : `${name}=${value}`));
  return pairs.length === 0 ? null : pairs.join('; ');
}

function isFor({ domain, forSubdomains, path, secure }: Cookie, { protocol, hostname, pathname }: URL): boolean {
  if (secure && protocol !== 'https:') return false;
  const isHost = hostname === domain || (forSubdomains && hostname.endsWith(`.${domain}`) && !/^[\d.]+$/.test(hostname));
  return isHost && (pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`));
}

function isTrue(text: string): boolean {
  return text.toUpperCase() === 'TRUE';
}
