import { isShortage, PosteError } from '../domain/errors.js';
import { systemCode } from './files.js';

/** Turns a system error about `path` into what poste calls it; lets a PosteError pass. */
export function diskError(error: unknown, path: string): PosteError {
  if (error instanceof PosteError) return error;
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PosteError('disk-full', `no room left for ${path}`, { hint: 'it goes on by itself when there is room', transient: true, cause: error });
  }
  const why = code === 'ELOOP' ? 'a symbolic link stands in its place' : (code ?? String(error));
  return new PosteError('io', `${path}: ${why}`, { hint: 'look at the disk, then `poste retry`', transient: isShortage(code), cause: error });
}
