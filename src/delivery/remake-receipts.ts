import type { SessionEvent } from '../domain/events.js';
import type { Task } from '../domain/task.js';
import { JournalReader } from '../store/journal-reader.js';
import { receiptPath, type SessionPaths } from '../store/paths.js';
import { readReceipt, writeReceipt, type Receipt } from './receipt.js';

/** Receipts looked at side by side. */
const AT_ONCE = 32;

/** What the journal tells of every file that was finished, with its provenance, as the receipts say it. */
export async function receiptsInJournal(paths: SessionPaths): Promise<Receipt[]> {
  const reader = new JournalReader(paths.journal);
  const receipts = new Map<number, Receipt>();
  let posteVersion = '';
  for (const event of await reader.poll()) {
    if (event.type === 'worker.started') posteVersion = event.version;
    const task = event.type === 'task.finished' ? reader.session?.tasks.get(event.task) : undefined;
    if (event.type === 'task.finished' && task !== undefined) receipts.set(event.task, receiptOf(reader.session?.id ?? '', task, event, posteVersion));
    const receipt = event.type === 'task.claimed' ? receipts.get(event.task) : undefined;
    if (event.type === 'task.claimed' && receipt !== undefined) {
      receipts.set(event.task, { ...receipt, claimedTo: event.path, claimedAt: new Date(event.time).toISOString() });
    }
  }
  return [...receipts.values()];
}

function receiptOf(id: string, { spec, attempts }: Task, event: SessionEvent & { type: 'task.finished' }, posteVersion: string): Receipt {
  const { task, name, size, sha256, length, provenance, time } = event;
  return {
    ...provenance,
    schema: 1,
    id,
    task,
    name,
    url: spec.url,
    size,
    sha256,
    length,
    checksum: spec.checksum === null ? null : { ...spec.checksum, matched: true },
    attempts,
    finishedAt: new Date(time).toISOString(),
    claimedTo: null,
    claimedAt: null,
    posteVersion,
  };
}

/**
 * For the session's owner when the machine was booted since the last one: a receipt is not made durable, so the power may have taken it. What
 * is not there, is not whole, or does not know of a claim is written again. What cannot be written now, `verify` reads in the journal.
 */
export async function remakeReceipts(paths: SessionPaths): Promise<void> {
  const receipts = await receiptsInJournal(paths);
  for (let start = 0; start < receipts.length; start += AT_ONCE) {
    await Promise.all(
      receipts.slice(start, start + AT_ONCE).map(async (receipt) => {
        const found = await readReceipt(receiptPath(paths, receipt.task)).catch(() => null);
        if (found?.sha256 !== receipt.sha256 || (found.claimedAt === null && receipt.claimedAt !== null)) {
          await writeReceipt(paths, receipt, {}).catch(() => undefined);
        }
      }),
    );
  }
}
