import { PosteError } from './errors.js';
import { printable } from './printable.js';
import type { Checksum } from './task.js';

/** Hexadecimal digits of each digest. */
const HEX_LENGTH = { sha1: 40, sha256: 64, sha512: 128 } as const;

const EXAMPLE = 'write it like sha256:HEX, with the 64 digits that sha256sum prints';

/**
 * Reads `sha256:HEX`; also `sha-256=HEX`, as aria2 writes it. `weak` is true for sha1, which finds damage but not malice.
 * @throws PosteError `usage`; md5 is refused, since anyone can make two files with one md5
 */
export function parseChecksum(text: string): { checksum: Checksum; weak: boolean } {
  const match = /^([a-z0-9-]{1,16})[:=]([^:=]*)$/i.exec(text);
  if (match === null) throw refused(`"${printable(text.slice(0, 200), 40)}" is no checksum`);
  const algorithm = (match[1] ?? '').toLowerCase().replace('-', '');
  const hex = (match[2] ?? '').toLowerCase();
  if (algorithm === 'md5') throw refused('md5 proves nothing: two files with the same md5 are easily made');
  if (algorithm !== 'sha1' && algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw refused(`${algorithm} is no checksum that poste knows`);
  }
  const length = HEX_LENGTH[algorithm];
  if (hex.length !== length) throw refused(`a ${algorithm} has ${length} digits, not ${hex.length}`);
  if (!/^[0-9a-f]+$/.test(hex)) throw refused(`this ${algorithm} has characters that are no hexadecimal digits`);
  return { checksum: { algorithm, hex }, weak: algorithm === 'sha1' };
}

function refused(message: string): PosteError {
  return new PosteError('usage', message, { hint: EXAMPLE });
}
