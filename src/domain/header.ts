import { PosteError } from './errors.js';

/** Why a user may not set a header, and the headers in lower case. */
const REFUSED: readonly (readonly [reason: string, names: readonly string[]])[] = [
  ['poste asks for ranges itself', ['range', 'if-range']],
  ['poste compares versions itself', ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']],
  ['poste asks for the bytes as they are, or they could not be resumed', ['accept-encoding']],
  ['it follows from the URL', ['host']],
  ['it is for the proxy, whose URL can carry user and password', ['proxy-authorization']],
  ['a download sends no content', ['content-length', 'transfer-encoding', 'trailer', 'expect']],
  ['poste keeps its connections itself', ['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'http2-settings']],
];

/**
 * Reads `Name: value`; blanks around the value go (RFC 9110 section 5.5). Messages never show the value, nor the name while it could be
 * a value that lacks its name.
 * @throws PosteError `usage` for what is no header, could smuggle a second one, or is poste's own business
 */
export function parseHeader(text: string): [name: string, value: string] {
  if (/[\r\n\0]/.test(text)) throw refused('a header has a line break or a NUL in it', 'give one header a --header, on one line');
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(colon, 0));
  // The token of RFC 9110 section 5.6.2.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw refused('a header does not begin with a name and a colon', EXAMPLE);
  const value = text.slice(colon + 1).replace(/^[ \t]+|(?<![ \t])[ \t]+$/g, '');
  if (value === '') throw refused(`the header ${name} has no value`, EXAMPLE);
  if (!/^[\t\x20-\x7e\x80-\xff]+$/.test(value)) {
    throw refused(`the value of the header ${name} has a character that HTTP cannot carry`, 'use ASCII, and percent-encode the rest');
  }
  const [reason] = REFUSED.find(([, names]) => names.includes(name.toLowerCase())) ?? [];
  if (reason !== undefined) throw refused(`the header ${name} cannot be set: ${reason}`, 'leave it out');
  return [name, value];
}

const EXAMPLE = "write it like 'Accept: text/plain'";

function refused(message: string, hint: string): PosteError {
  return new PosteError('usage', message, { hint });
}
