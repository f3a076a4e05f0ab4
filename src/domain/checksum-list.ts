import { parseChecksum } from './checksum.js';
import { PosteError } from './errors.js';
import { printable } from './printable.js';
import type { Checksum } from './task.js';

/** One line of a list of digests. */
export interface ListedChecksum {
  /** As it stands there, a path perhaps, without `./` in front. */
  readonly name: string;
  readonly checksum: Checksum;
}

/** Of several digests of one file the first kind that is there: sha256 is computed in any case. */
const PREFERRED = ['sha256', 'sha512', 'sha1', 'md5'] as const;
const ALGORITHM_OF: Readonly<Record<number, Checksum['algorithm']>> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' };

/**
 * Reads what `sha256sum` and its kin print (`HEX  name`, `HEX *name`) and their BSD form (`SHA256 (name) = HEX`). Whatever else stands
 * there (comments, a signature) is passed over.
 * @throws PosteError `usage` when no line is a digest
 */
export function parseChecksumList(text: string): ListedChecksum[] {
  const listed = text.split(/\r?\n/).flatMap((line) => {
    const [, escape, gnuHex, gnuName] = /^(\\?)([0-9a-f]{32,128}) [ *](.+)$/i.exec(line) ?? [];
    const [, kind, bsdName, bsdHex] = /^(MD5|SHA-?(?:1|256|512)) ?\((.+)\) ?= ?([0-9a-f]{32,128})$/i.exec(line) ?? [];
    const hex = (gnuHex ?? bsdHex)?.toLowerCase();
    const algorithm = hex === undefined ? undefined : ALGORITHM_OF[hex.length];
    const name = escape === '\\' ? gnuName?.replace(/\\([n\\])/g, (_, char: string) => (char === 'n' ? '\n' : '\\')) : (gnuName ?? bsdName);
    if (hex === undefined || algorithm === undefined || name === undefined) return [];
    return kind !== undefined && kind.toLowerCase().replace('-', '') !== algorithm ? [] : [{ name: name.replace(/^\.\//, ''), checksum: { algorithm, hex } }];
  });
  if (listed.length === 0) {
    throw new PosteError('usage', 'the checksum file has no line with a digest and a name', { hint: 'it is what sha256sum prints: HEX  NAME' });
  }
  return listed;
}

/**
 * The digest of a download: of the file that its URL (its path, percent-decoded) or its name means. A path in the list is the closer
 * match the more of the URL's path it shares.
 * @throws PosteError `usage` when the list has none, has two that differ, or has nothing better than md5
 */
export function listedChecksum(list: readonly ListedChecksum[], { urlPath, names }: { readonly urlPath: string; readonly names: readonly string[] }): Checksum {
  const hint = 'give the digest itself with --checksum, or checksum= in an input file';
  const shown = printable(names[0] ?? 'the download', 60);
  const byPath = list.filter(({ name }) => name.includes('/') && urlPath.endsWith(`/${name}`));
  const longest = Math.max(0, ...byPath.map(({ name }) => name.length));
  const candidates = [
    byPath.filter(({ name }) => name.length === longest),
    ...names.map((wanted) => list.filter(({ name }) => name === wanted)),
    ...names.map((wanted) => list.filter(({ name }) => name.split('/').at(-1) === wanted)),
  ];
  const found = candidates.find((some) => some.length > 0);
  if (found === undefined) throw new PosteError('usage', `the checksum file has no line for ${shown}`, { hint });
  const algorithm = PREFERRED.find((kind) => found.some(({ checksum }) => checksum.algorithm === kind));
  const digests = new Set(found.filter(({ checksum }) => checksum.algorithm === algorithm).map(({ checksum }) => checksum.hex));
  const [hex] = digests;
  if (algorithm === undefined || hex === undefined || digests.size > 1) {
    throw new PosteError('usage', `the checksum file has lines for ${shown} that differ`, { hint });
  }
  return parseChecksum(`${algorithm}:${hex}`).checksum;
}
