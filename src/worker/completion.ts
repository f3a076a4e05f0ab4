import type { Task } from '../domain/task.js';
import { writeReceipt } from '../delivery/receipt.js';
import { VERSION } from '../platform/version.js';
import { finish, finishWhole, undoFinish } from '../store/finished.js';
import type { OwnedSession } from '../store/owned-session.js';
import { removeParts } from '../store/part-file.js';
import type { TempPaths } from '../store/paths.js';
import type { Complete } from '../transfer/attempt.js';

/** Ends a download of which every byte is here and checked: file in its place, durably → receipt → durable `task.finished`, which the receipt could be made from again. */
export async function recordComplete(owned: OwnedSession, temp: TempPaths, task: Task, outcome: Complete): Promise<void> {
  const { size, sha256, length, name, provenance } = outcome;
  const receipt = {
    schema: 1 as const,
    id: owned.id,
    task: task.number,
    name,
    url: task.spec.url,
    size,
    sha256,
    length,
    checksum: task.spec.checksum === null ? null : { ...task.spec.checksum, matched: true as const },
    attempts: task.attempts,
    finishedAt: new Date().toISOString(),
    claimedTo: null,
    claimedAt: null,
    posteVersion: VERSION,
  };
  // One that was stopped here and displaced would take the file from under its successor.
  if (!(await owned.ownership.stillMine())) return;
  const isPart = 'partGeneration' in outcome;
  const { file, modifiedAt } = isPart ? await finish(temp, task.number, outcome.partGeneration, name) : await finishWhole(temp, task.number, outcome.bytes, name);
  await writeReceipt(owned.paths, receipt, provenance);
  // A digest that was given while it was verified was not compared: that it is still the same is looked at in turn with all requests.
  const { length: told } = await owned.journal.commit((session) => {
    const now = session?.tasks.get(task.number);
    if (now === undefined || basisOf(now) !== basisOf(task)) return [];
    return [{ type: 'task.finished', task: task.number, name, file, size, sha256, length, modifiedAt, provenance }];
  });
  // Cancelled, or asked for otherwise, meanwhile: the bytes become a part again, so that `retry` and `--purge` find them where they look.
  if (told === 0) await undoFinish(temp, task.number);
  else if (isPart) await removeParts(temp, task.number);
  if (told > 0) await owned.secrets.drop(task.number);
}

/** What a transfer begins with and cannot change under way. */
export function basisOf({ spec }: Task): string {
  return JSON.stringify([spec.urlHash, spec.checksum, spec.maxSize, spec.expectSize]);
}
