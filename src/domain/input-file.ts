import { PosteError } from './errors.js';
import { printable } from './printable.js';

/** One download of an input file, as it is written there: its values are still to be parsed. */
export interface InputEntry {
  readonly url: string;
  /** Where it begins, counted from 1. */
  readonly line: number;
  readonly options: InputOptions;
}

export interface InputOptions {
  readonly out?: string;
  readonly to?: string;
  readonly checksum?: string;
  readonly label?: string;
  readonly headers: readonly string[];
}

/**
 * Reads what `--input-file` names: a URL a line with indented `key=value` lines under it, as aria2 reads them, or NDJSON when the first
 * character that is not blank is `{`. Blank lines are skipped, and lines that begin with `#` in the first form; CRLF and a byte order
 * mark are tolerated.
 * @throws PosteError `usage`, naming the line
 */
export function parseInputFile(text: string): InputEntry[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  return lines.find((line) => line.trim() !== '')?.trimStart().startsWith('{') === true ? parseJsonLines(lines) : parseUrlLines(lines);
}

/**
 * Runs `parse` on something that stands in `line`, so that what it throws says where.
 * @throws PosteError as `parse` threw it, with the line in front
 */
export function inLine<T>(line: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof PosteError)) throw error;
    const { hint, transient, cause } = error;
    throw new PosteError(error.code, `line ${line}: ${error.message}`, { transient, cause, ...(hint === undefined ? {} : { hint }) });
  }
}

/** An entry while its lines are read. */
interface OpenEntry {
  readonly url: string;
  readonly line: number;
  readonly options: { out?: string; to?: string; checksum?: string; label?: string; headers: string[] };
}

function parseUrlLines(lines: readonly string[]): InputEntry[] {
  const entries: OpenEntry[] = [];
  lines.forEach((line, index) => {
    if (line.trim() === '' || line.trimStart().startsWith('#')) return;
    inLine(index + 1, () => {
      if (!/^[ \t]/.test(line)) {
        entries.push({ url: soleUrl(line), line: index + 1, options: { headers: [] } });
        return;
      }
      const entry = entries.at(-1);
      if (entry === undefined) throw refused('an option comes before the first URL', 'put a URL first, its options below');
      const [key, value] = keyAndValue(line.trim());
      if (key === 'header') entry.options.headers.push(value);
      else setOnce(entry, key, value);
    });
  });
  return entries;
}

function soleUrl(line: string): string {
  const parts = line.split('\t').map((part) => part.trim());
  const [url = '', ...more] = parts.filter((part) => part !== '');
  if (url.startsWith('{')) throw refused('a JSON object, in a file that begins with a URL', 'write all of the file in one form');
  if (more.length > 0) throw refused('more than one URL on one line', 'write one URL a line; mirrors are not read from input files');
  return url;
}

function keyAndValue(line: string): [key: string, value: string] {
  const equals = line.indexOf('=');
  if (equals === -1) throw refused('an indented line is an option, and this one has no "="', 'write it like out=NAME');
  return [line.slice(0, equals).trimEnd(), line.slice(equals + 1).trimStart()];
}

function parseJsonLines(lines: readonly string[]): InputEntry[] {
  return lines.flatMap((line, index) => (line.trim() === '' ? [] : [inLine(index + 1, () => jsonEntry(line, index + 1))]));
}

function jsonEntry(text: string, line: number): InputEntry {
  const { url, headers, ...rest } = jsonObject(text);
  const entry: OpenEntry = { url: stringOf('url', url), line, options: { headers: [] } };
  if (headers !== undefined) {
    if (!Array.isArray(headers)) throw refused('"headers" is not a list', 'write it like "headers": ["Name: value"]');
    entry.options.headers.push(...headers.map((header: unknown) => stringOf('headers', header)));
  }
  for (const [key, value] of Object.entries(rest)) setOnce(entry, key, stringOf(key, value));
  return entry;
}

function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the line, and the line may hold a secret.
    throw refused('not a JSON object on one line', `a file that begins with "{" has one on each line: ${JSON_EXAMPLE}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('not a JSON object', JSON_EXAMPLE);
  return { ...value };
}

const JSON_EXAMPLE = 'write it like {"url": "https://example.org/file.iso", "out": "NAME"}';

function stringOf(key: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw refused(value === undefined ? `there is no "${key}"` : `"${printable(key, 40)}" does not hold a string`, JSON_EXAMPLE);
}

function setOnce({ options }: OpenEntry, writtenKey: string, writtenValue: string): void {
  const option = OPTION_OF.get(writtenKey);
  if (option === undefined) {
    // Only what looks like an option is shown: a header that lacks its "header=" may be a secret as a whole.
    const shown = /^[a-z_-]{1,40}$/i.test(writtenKey) ? ` ${writtenKey}` : '';
    throw refused(`unknown option${shown}`, 'known: out (or name), dir, to, checksum, header (in JSON: headers), label');
  }
  if (writtenValue === '') throw refused(`${writtenKey} has no value`, 'leave the option out');
  if (options[option] !== undefined) throw refused(`${option} is given twice`, `keep one ${option} for each URL`);
  options[option] = writtenKey === 'dir' && !writtenValue.endsWith('/') ? `${writtenValue}/` : writtenValue;
}

/** `dir` is aria2's word for a folder to put the file into; `name` is what the flag is called. */
const OPTION_OF: ReadonlyMap<string, 'out' | 'to' | 'checksum' | 'label'> = new Map([
  ['out', 'out'],
  ['name', 'out'],
  ['to', 'to'],
  ['dir', 'to'],
  ['checksum', 'checksum'],
  ['label', 'label'],
]);

function refused(message: string, hint: string): PosteError {
  return new PosteError('usage', message, { hint });
}
