import { isForEveryone } from './redirect.js';
import type { TaskSecrets } from './task.js';

/** Fewer characters are no secret that could be kept, and are in every other word. */
const SHORTEST = 6;

/**
 * Takes out of a text whatever of a task's secrets is in it: servers, proxies and libraries like to repeat what they were sent. As given,
 * percent-encoded, and in any case of letters, since a host is written in lower case.
 */
export function scrubber({ url, headers = [], proxy }: TaskSecrets): (text: string) => string {
  const values = [
    ...headers.flatMap(([name, value]) => (isForEveryone(name) ? [] : partsOf(value))),
    ...(url === undefined ? [] : queryValues(url)),
    ...[proxy?.http, proxy?.https].flatMap((address) => (address === undefined ? [] : userinfo(address))),
  ];
  const forms = values.flatMap((value) => [value, encodeURIComponent(value), decoded(value)]).filter((form) => form.length >= SHORTEST);
  if (forms.length === 0) return (text) => text;
  // The longest first: a part of a value must not leave the rest of it standing.
  const alternatives = [...new Set(forms)].sort((a, b) => b.length - a.length).map((form) => form.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  const pattern = new RegExp(alternatives.join('|'), 'gi');
  return (text) => text.replace(pattern, '***');
}

/** Every string in `value` scrubbed; what is no plain data stays as it is. */
export function scrubbed<T>(value: T, scrub: (text: string) => string): T {
  if (typeof value === 'string') return scrub(value) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => scrubbed(item, scrub)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scrubbed(item as unknown, scrub)])) as T;
}

/** A header's value, what follows the scheme of an Authorization, user and password of a Basic one, and the values of cookies. */
function partsOf(value: string): string[] {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9-]*) +(.+)$/.exec(value) ?? [];
  const pair = scheme?.toLowerCase() === 'basic' && rest !== undefined ? fromBase64(rest) : '';
  const cookies = value.split(/; */).map((part) => part.slice(part.indexOf('=') + 1));
  return [value, ...(rest === undefined ? [] : [rest]), pair, ...pair.split(':'), ...cookies];
}

function queryValues(url: string): string[] {
  const parts = new URL(url).search.slice(1).split('&');
  return parts.map((part) => part.slice(part.indexOf('=') + 1));
}

function userinfo(address: string): string[] {
  const { username, password } = new URL(address);
  const pair = `${decoded(username)}:${decoded(password)}`;
  return [username, password, pair, btoa(String.fromCharCode(...new TextEncoder().encode(pair)))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function fromBase64(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
  } catch {
    return '';
  }
}
