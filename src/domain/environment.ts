import { PosteError } from './errors.js';
import type { TaskSecrets } from './task.js';

/** Proxies by the scheme of what is downloaded, with their credentials, and the hosts that go without: a secret as a whole. */
export type Proxies = NonNullable<TaskSecrets['proxy']>;

/**
 * The proxies that the environment names, by the variables that curl reads; lower case comes first. `null` when there are none.
 * `HTTP_PROXY` in upper case does not count in a CGI program, where a client can set it by sending a `Proxy` header.
 * @throws PosteError `usage`, naming the variable and not its value
 */
export function proxiesFrom(env: Readonly<Record<string, string | undefined>>): Proxies | null {
  const read = (...names: readonly string[]): string | undefined => {
    const name = names.find((each) => env[each] !== undefined && env[each] !== '');
    return name === undefined ? undefined : parseProxy(env[name] ?? '', name);
  };
  const inCgi = env['REQUEST_METHOD'] !== undefined;
  const http = read('http_proxy', ...(inCgi ? [] : ['HTTP_PROXY']), 'all_proxy', 'ALL_PROXY');
  const https = read('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY');
  if (http === undefined && https === undefined) return null;
  const no = env['no_proxy'] || env['NO_PROXY'];
  return { ...(http && { http }), ...(https && { https }), ...(no && { no }) };
}

/**
 * The URL of a proxy, normalised, credentials and all; `host:port` alone means http, as with curl. `source` is the flag or variable
 * it came from.
 * @throws PosteError `usage`, naming `source` and not the text
 */
export function parseProxy(text: string, source: string): string {
  const hint = 'write it like http://proxy.example.org:3128';
  if (/[\s\p{Cc}\\]/u.test(text)) {
    throw new PosteError('usage', `${source} has a space, a backslash or a control character in it`, { hint });
  }
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') {
    throw new PosteError('usage', `${source} names a ${scheme} proxy; poste speaks to http and https proxies`, { hint });
  }
  if (!URL.canParse(url)) throw new PosteError('usage', `${source} is not the URL of a proxy`, { hint });
  const parsed = new URL(url);
  parsed.hash = '';
  parsed.search = '';
  parsed.pathname = '/';
  return parsed.href;
}
