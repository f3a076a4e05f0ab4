import { PosteError } from './errors.js';

/** One entry of a netrc file; `machine` is `null` for `default`, which is for every host. */
export interface NetrcEntry {
  readonly machine: string | null;
  readonly login: string | null;
  readonly password: string | null;
}

/**
 * Reads a netrc file as curl does: words between blanks, quoted ones with `\"`, `\\`, `\n`, `\r` and `\t`; lines that begin with `#` and
 * macros (up to an empty line) are skipped, and so is every word that means nothing here.
 * @throws PosteError `usage`, naming the line and nothing that stands in it
 */
export function parseNetrc(text: string): NetrcEntry[] {
  const entries: { machine: string | null; login: string | null; password: string | null }[] = [];
  let awaits: 'machine' | 'login' | 'password' | 'account' | null = null;
  let inMacro = false;
  text.split(/\r?\n/).forEach((line, index) => {
    if (inMacro || line.trimStart().startsWith('#')) {
      inMacro &&= line.trim() !== '';
      return;
    }
    for (const word of wordsOf(line, index + 1)) {
      const entry = entries.at(-1);
      if (awaits !== null) {
        if (awaits === 'machine') entries.push({ machine: word, login: null, password: null });
        else if (entry !== undefined && awaits !== 'account') entry[awaits] = word;
        awaits = null;
        continue;
      }
      const keyword = word.toLowerCase();
      if (keyword === 'macdef') {
        inMacro = true;
        return;
      }
      if (keyword === 'default') entries.push({ machine: null, login: null, password: null });
      if (keyword === 'machine' || keyword === 'login' || keyword === 'password' || keyword === 'account') awaits = keyword;
    }
  });
  return entries;
}

/** What the first entry for `host` says, of the user `login` when one is asked for. */
export function netrcCredentials(
  entries: readonly NetrcEntry[],
  host: string,
  login: string | null,
): { readonly username: string; readonly password: string } | null {
  const wanted = host.replace(/^\[|\]$/g, '').toLowerCase();
  const found = entries.find(
    (entry) =>
      (entry.machine === null || entry.machine.toLowerCase() === wanted) &&
      (login === null || entry.login === null || entry.login === login) &&
      (entry.login !== null || entry.password !== null),
  );
  return found === undefined ? null : { username: login ?? found.login ?? '', password: found.password ?? '' };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function wordsOf(line: string, number: number): string[] {
  const words = line.match(/"(?:\\.|[^"\\])*"?|[^\s"]\S*/g) ?? [];
  return words.map((word) => {
    if (!word.startsWith('"')) return word;
    if (!/^"(?:\\.|[^"\\])*"$/.test(word)) {
      throw new PosteError('usage', `line ${number} of the netrc file has a quotation mark without its end`, { hint: 'close it, or write \\" for the mark itself' });
    }
    return word.slice(1, -1).replace(/\\(.)/g, (_, char: string) => ESCAPES[char] ?? char);
  });
}
