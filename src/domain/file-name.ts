import filenamify from 'filenamify/browser';
import { PosteError } from './errors.js';
import { INVISIBLE } from './printable.js';

/** What one name may take on the usual file systems (NAME_MAX), in bytes of UTF-8. */
const MAX_NAME_BYTES = 255;

/** What a file is called when neither the user, nor the URL, nor the server has a name for it. */
const DEFAULT_NAME = 'download';

/**
 * The one sanitiser of names from outside. `raw` is decoded already, once (no percent signs are read here). The result is a base name
 * in NFC with nothing invisible in it, no leading dot or dash, no trailing dot or space, none of Windows' reserved characters and names,
 * at most 255 bytes with the extension kept; `download` when nothing is left.
 */
export function safeFileName(raw: string): string {
  return cleaned(raw) ?? DEFAULT_NAME;
}

/**
 * The file name that a URL suggests, sanitised: its last path segment, percent-decoded once. Sequences that are not UTF-8 stay as they
 * are. `null` when the URL suggests none, as in `https://example.org/folder/`.
 */
export function nameFromUrl(url: string): string | null {
  const segment = new URL(url).pathname.split('/').at(-1) ?? '';
  return cleaned(segment.replace(/(?:%[0-9a-f]{2})+/gi, decodedOrAsIs));
}

/**
 * A name that the user chose (`-o`): refused rather than repaired, kept byte for byte otherwise.
 * @throws PosteError `usage` when it is no single name, has control characters, or is longer than 255 bytes
 */
export function checkUserName(name: string): string {
  const fault = faultOf(name);
  if (fault !== null) throw new PosteError('usage', `the file name ${fault}`, { hint: 'give one plain name; --to chooses the folder' });
  return name;
}

/** `name (n).ext`, for a place where `name` is taken already; `.tar.gz` and its kin stay whole, and 255 bytes are kept to. */
export function numberedName(name: string, n: number): string {
  const [stem, extension] = splitExtension(name);
  const suffix = ` (${n})${extension}`;
  return startOf(stem, MAX_NAME_BYTES - byteLength(suffix)) + suffix;
}

function cleaned(raw: string): string | null {
  const name = baseName(raw.replace(INVISIBLE, '').normalize('NFC'))
    .replace(/^[\s.-]+/, '')
    // The look-behind keeps this linear on names made of dots.
    .replace(/(?<![\s.])[\s.]+$/, '');
  if (name === '') return null;
  const whole = portable(shortened(name, MAX_NAME_BYTES));
  // The mark that filenamify puts into CON, NUL and the like takes a byte; who has room for it already must not lose one each time.
  return byteLength(whole) <= MAX_NAME_BYTES ? whole : portable(shortened(name, MAX_NAME_BYTES - 1));
}

function portable(name: string): string {
  return filenamify(name, { replacement: '_', maxLength: 2 * MAX_NAME_BYTES });
}

/** For both kinds of slash: a name made on Windows is as unwelcome here as one made on Unix. */
function baseName(path: string): string {
  return path.split(/[/\\]/).findLast((part) => part.trim() !== '') ?? '';
}

function shortened(name: string, maxBytes: number): string {
  if (byteLength(name) <= maxBytes) return name;
  const [stem, extension] = splitExtension(name);
  return startOf(stem, maxBytes - byteLength(extension)) + extension;
}

/** An extension is short and plain; a dot elsewhere is part of the name. */
function splitExtension(name: string): [stem: string, extension: string] {
  const at = name.search(/(?:\.tar)?\.[\p{L}\p{N}_-]{1,16}$/iu);
  return at < 1 ? [name, ''] : [name.slice(0, at), name.slice(at)];
}

/** As much of the start of `text` as fits, in whole characters. */
function startOf(text: string, maxBytes: number): string {
  let bytes = 0;
  let end = 0;
  for (const char of text) {
    bytes += byteLength(char);
    if (bytes > maxBytes) break;
    end += char.length;
  }
  return text.slice(0, end);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function decodedOrAsIs(escapes: string): string {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return escapes;
  }
}

function faultOf(name: string): string | null {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return `${name} means a folder`;
  if (name.includes('/')) return 'has a slash in it';
  if (/[\p{Cc}\p{Cs}]/u.test(name)) return 'has a control character in it';
  if (byteLength(name) > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes`;
  return null;
}
