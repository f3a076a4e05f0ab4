import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { readIfThere, replaceFile } from '../store/files.js';
import type { Checksum } from '../domain/task.js';
import { makeDir } from '../store/own-dir.js';
import { receiptPath, type SessionPaths } from '../store/paths.js';
import { Together } from '../store/together.js';

/** What is vouched for: which bytes, from where, and where they went. What else is known of their origin stands beside these members. */
export interface Receipt {
  readonly schema: 1;
  readonly id: string;
  readonly task: number;
  readonly name: string;
  /** Redacted. */
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** How the length was known to be right. */
  readonly length: 'verified' | 'unverified';
  /** The digest that was asked for, and that the file has; `null` when none was. */
  readonly checksum: (Checksum & { readonly matched: true }) | null;
  readonly attempts: number;
  /** ISO 8601. */
  readonly finishedAt: string;
  readonly claimedTo: string | null;
  readonly claimedAt: string | null;
  readonly posteVersion: string;
}

/**
 * Writes a task's receipt. `provenance` is the JSON object that the transfer kept: final host, validators, how it was resumed. Not durably:
 * the journal tells all of it, and what a power cut takes is made again ({@link remakeReceipts}).
 */
export async function writeReceipt(paths: SessionPaths, receipt: Receipt, provenance: object): Promise<void> {
  await folders.run(paths.receipts);
  await write(receiptPath(paths, receipt.task), { ...provenance, ...receipt });
}

const folders = new Together(makeDir);

async function write(path: string, receipt: object): Promise<void> {
  await replaceFile(path, `${JSON.stringify(receipt, null, 2)}\n`, { durable: false });
}

/** Notes in the receipt where the file went. Without a receipt (removed by hand, say) there is nothing to note it in. */
export async function noteClaim(paths: SessionPaths, task: number, claimedTo: string | null, at: number): Promise<void> {
  const path = receiptPath(paths, task);
  const receipt = await readReceipt(path).catch(() => null);
  if (receipt === null) return;
  const noted = { ...receipt, claimedTo, claimedAt: new Date(at).toISOString() };
  await write(path, noted);
}

/**
 * Reads a receipt, the provenance with it; `null` when there is none at `path`.
 * @throws PosteError `damaged` when the file is no receipt, `newer-version` when it is a later one
 */
export async function readReceipt(path: string): Promise<(Receipt & Readonly<Record<string, unknown>>) | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  const record = parsed(text);
  if (typeof record?.['schema'] === 'number' && record['schema'] > 1) {
    throw new PosteError('newer-version', `${printable(path)} was written by a newer poste`, { hint: 'verify it with that version' });
  }
  if (record?.['schema'] !== 1 || !isSound(record)) {
    throw new PosteError('damaged', `${printable(path)} is no receipt, or is damaged`, { hint: 'give the path that claim --json names' });
  }
  return record as unknown as Receipt & Readonly<Record<string, unknown>>;
}

function isSound({ sha256, size, claimedTo }: Record<string, unknown>): boolean {
  const isPath = claimedTo === null || (typeof claimedTo === 'string' && claimedTo.startsWith('/'));
  return typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) && Number.isSafeInteger(size) && Number(size) >= 0 && isPath;
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}
