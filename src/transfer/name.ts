import { parse } from 'content-disposition';
import { single, type HeaderFields } from '../domain/answer.js';
import { numberedName, safeFileName } from '../domain/file-name.js';
import type { TaskSpec } from '../domain/task.js';

/**
 * The file's name: the server's proposal counts only where neither the user nor the URL gave one, gives way to `taken` ones, and is none
 * when it repeats a secret.
 */
export function nameOf(spec: TaskSpec, fields: HeaderFields, scrub: (text: string) => string, taken: ReadonlySet<string> = new Set()): string {
  const header = single(fields, 'content-disposition');
  if (spec.namedBy !== 'default' || header === null) return spec.name;
  try {
    const { filename } = parse(header).parameters;
    if (filename === undefined || filename.trim() === '' || scrub(filename) !== filename) return spec.name;
    const proposed = safeFileName(filename);
    let name = proposed;
    for (let n = 1; taken.has(name); n += 1) name = numberedName(proposed, n);
    return name;
  } catch {
    // What cannot be parsed proposes nothing.
    return spec.name;
  }
}
