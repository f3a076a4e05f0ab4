import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { systemCode } from '../store/files.js';

/** A system error at the destination in poste's terms; what is no system error passes as it is. */
export function destinationError(error: unknown, to: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof PosteError) return error;
  const where = printable(to);
  switch (code) {
    case 'EEXIST':
      return destinationExists(to);
    case 'ENOSPC':
    case 'EDQUOT':
      return new PosteError('disk-full', `no room for ${where} (${code}); the file is kept in temp`, {
        hint: 'make room, then claim again',
        transient: true,
        cause: error,
      });
    case 'EIO':
      return new PosteError('io', `${where}: the disk reports an error (${code}); the file is kept in temp`, {
        hint: 'claim it to another disk with --to',
        cause: error,
      });
    default:
      return new PosteError('destination-unwritable', `${where}: ${WORDS[code] ?? 'it cannot be written'} (${code}); the file is kept`, {
        hint: code === 'ENOENT' ? 'make the folder, or end --to in / to have it made' : 'choose another --to',
        cause: error,
      });
  }
}

export function destinationExists(to: string, detail = ''): PosteError {
  return new PosteError('destination-exists', `${printable(to)} exists${detail} and was left alone; the file is kept in temp`, {
    hint: 'choose another --to, or --on-conflict rename',
  });
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'a part of the path is not a folder',
  EACCES: 'no permission to write there',
  EPERM: 'no permission to write there',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'the name is too long there',
  EFBIG: 'the file is too large for that file system',
};
