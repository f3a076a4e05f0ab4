import { PosteError } from './errors.js';
import { printable } from './printable.js';
import { redactUrl } from './redact.js';

/** A URL to download from, with what is secret in it set apart. */
export interface DownloadUrl {
  /** Normalised, with its query; without userinfo and fragment. */
  readonly url: string;
  /** The same, fit to be shown and kept: query values are `***`. */
  readonly redacted: string;
  /** The userinfo, percent-decoded; `null` when there was none. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

/**
 * Reads a URL as a user typed it. Stricter than the WHATWG parser where that one guesses (RFC 3986 section 2 has no spaces, control
 * characters or backslashes, and an http URL names its host after `//`), so that what is fetched is what was read.
 * @throws PosteError `usage`, in one line that shows neither userinfo nor query
 */
export function parseDownloadUrl(text: string): DownloadUrl {
  const fault = faultOf(text);
  if (fault !== null) throw new PosteError('usage', ...fault);
  const parsed = new URL(text);
  const { username, password } = parsed;
  const credentials = username === '' && password === '' ? null : { username: decoded(username), password: decoded(password) };
  parsed.username = '';
  parsed.password = '';
  parsed.hash = '';
  return { url: parsed.href, redacted: redactUrl(parsed.href), credentials };
}

/** Scheme, host and port: what credentials belong to. */
export function originOf(url: string): string {
  return new URL(url).origin;
}

type Fault = readonly [message: string, detail: { readonly hint: string }];

function faultOf(text: string): Fault | null {
  const shown = withoutSecrets(text);
  if (text === '') return ['the URL is empty', { hint: EXAMPLE }];
  if (/[\s\p{Cc}]/u.test(text)) {
    return [`the URL ${shown} has a space or a control character in it`, { hint: 'quote the URL for the shell, and write a space as %20' }];
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') {
    return scheme !== undefined && (text.includes('://') || OTHER_SCHEMES.has(scheme))
      ? [`poste downloads over http and https only, not ${scheme}`, { hint: EXAMPLE }]
      : [`the URL ${shown} has no http:// or https:// in front`, { hint: EXAMPLE }];
  }
  if (text.includes('\\')) return [`the URL ${shown} has a backslash in it`, { hint: 'write /, or %5C for a real backslash' }];
  if (!/^[^:]+:\/\/[^/?#]/.test(text)) return [`the URL ${shown} names no host`, { hint: EXAMPLE }];
  return URL.canParse(text) ? null : [`the URL ${shown} has a host or a port that cannot be`, { hint: EXAMPLE }];
}

const EXAMPLE = 'write it like https://example.org/file.iso';

/** Schemes that people try without `//`; anything else before a colon may be a host or a user's name. */
const OTHER_SCHEMES: ReadonlySet<string> = new Set(['about', 'blob', 'data', 'file', 'javascript', 'magnet', 'mailto']);

/** For a URL that may not even parse: all that could be userinfo, query or fragment is cut off. */
function withoutSecrets(text: string): string {
  const path = text.split(/[?#]/, 1)[0] ?? '';
  return printable(path.slice(path.lastIndexOf('@') + 1), 60);
}

function decoded(component: string): string {
  try {
    return decodeURIComponent(component);
  } catch {
    return component;
  }
}
