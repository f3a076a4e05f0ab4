import { PosteError } from '../domain/errors.js';
import { bytesAfter } from '../domain/segments.js';
import { checkSize } from '../domain/size.js';
import { removeParts } from '../store/part-file.js';
import type { PartFile } from '../store/part.js';
import { expectsPage, isStrayPage } from '../domain/verdict.js';
import type { AttemptJob, AttemptObserver, AttemptOutcome } from './attempt.js';
import type { RunningDigest } from './running-digest.js';
import { portal } from './refuse.js';
import { digest, wrongDigest } from './verify.js';

/** After so many restarts a digest that does not fit is taken for wrong: a server that always cuts would be asked for ever. */
const MOST_RESTARTS = 3;

/**
 * Every byte is here: syncs them, and compares the digest, if one was given.
 * @throws PosteError `checksum`, `wrong-size`, `too-large`, `io`; the signal's reason when it aborts.
 */
export async function complete(
  part: PartFile,
  { temp, task, spec, restarts }: AttemptJob,
  observer: AttemptObserver,
  { name, running, signal }: { readonly name: string; readonly running: RunningDigest | null; readonly signal: AbortSignal },
): Promise<AttemptOutcome> {
  const size = part.received;
  if (bytesAfter(part.extents, 0) !== size) throw new PosteError('internal', 'the file has a hole; what has arrived is kept', { transient: true });
  checkSize(spec, size);
  await observer.verifying();
  await part.sync();
  await part.truncate(size);
  const { sha256, asked } = await digest(part, size, spec.checksum?.algorithm ?? null, running, signal);
  if (spec.checksum !== null && asked !== spec.checksum.hex.toLowerCase()) {
    // Joined on the strength of the digest alone, or ended with its connection, which may have been cut.
    const { total, provenance } = part.header;
    const mayBeOurs = restarts < MOST_RESTARTS && (total === null || provenance.resumes.some(({ proof }) => proof === 'digest'));
    await reject(part, observer, mayBeOurs);
    if (isStrayPage(expectsPage(spec), part.header)) return portal(0);
    throw wrongDigest(asked ?? sha256, spec.checksum.hex, { transient: mayBeOurs });
  }
  await removeParts(temp, task, [part.generation]);
  const { provenance, total } = part.header;
  return {
    kind: 'complete',
    partGeneration: part.generation,
    size,
    sha256,
    length: total === null ? 'unverified' : 'verified',
    name,
    provenance,
  };
}

/** What may have been put together, or cut, on its way gets another chance from zero; otherwise the file itself is another one. */
async function reject(part: PartFile, observer: AttemptObserver, mayBeOurs: boolean): Promise<void> {
  const dropped = part.received;
  await part.clear();
  if (mayBeOurs) await observer.restarted('what arrived does not add up to the digest', dropped);
}
