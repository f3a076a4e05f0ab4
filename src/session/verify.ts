import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { readReceipt, type Receipt } from '../delivery/receipt.js';
import { receiptsInJournal } from '../delivery/remake-receipts.js';
import { errorInfo, PosteError, type ErrorInfo } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { diskError } from '../store/disk-error.js';
import { isThere, systemCode } from '../store/files.js';
import { receiptPath as pathOf, sessionPaths } from '../store/paths.js';

/** What a file is, and what its receipt says that it was. Paths are absolute, sizes bytes. */
export interface Verified {
  readonly receipt: string;
  readonly path: string;
  readonly ok: boolean;
  readonly size: number;
  readonly sha256: string;
  readonly expected: { readonly size: number; readonly sha256: string };
  /** Redacted. */
  readonly url: string;
  readonly finishedAt: string;
  readonly length: Receipt['length'];
  /** `null` when it is the file of the receipt. */
  readonly error: ErrorInfo | null;
}

const READ_BYTES = 1 << 20;

/**
 * Reads a claimed file, at `path` or where the receipt says that it went, and compares it with its receipt.
 * @throws PosteError `usage` without a receipt, `damaged` for what is none, `newer-version`, `no-file`, `io`
 */
export async function verify(receiptPath: string, path: string | null, cwd: string): Promise<Verified> {
  const from = resolve(cwd, receiptPath);
  const read = await readReceipt(from).catch(async (error: unknown) => {
    const told = errorInfo(error).code === 'damaged' ? await toldByJournal(from) : null;
    if (told === null) throw diskError(error, printable(from));
    return told;
  });
  // Also one of before the claim: the power may have taken what the claim noted in it.
  const isLate = read === null || (path === null && read.claimedTo === null);
  const receipt = (isLate ? await toldByJournal(from) : null) ?? read;
  if (receipt === null) throw new PosteError('usage', `there is no receipt ${printable(from)}`, { hint: 'claim --json and status --json name them' });
  const file = path === null ? receipt.claimedTo : resolve(cwd, path);
  if (file === null) {
    throw new PosteError('no-file', 'the receipt does not say where the file went: it was not claimed, or a hook took it', {
      hint: 'name the file: poste verify RECEIPT FILE',
    });
  }
  const { size, sha256 } = await digestOf(file);
  const ok = size === receipt.size && sha256 === receipt.sha256;
  const { url, finishedAt, length } = receipt;
  const expected = { size: receipt.size, sha256: receipt.sha256 };
  return { receipt: from, path: file, ok, size, sha256, expected, url, finishedAt, length, error: ok ? null : errorInfo(differs(file, size, expected)) };
}

/** A receipt that the power took, while its session is there. */
async function toldByJournal(path: string): Promise<Receipt | null> {
  const dir = dirname(dirname(path));
  const paths = sessionPaths(dirname(dirname(dir)), basename(dir));
  const receipts = paths.dir === dir && (await isThere(paths.journal)) ? await receiptsInJournal(paths) : [];
  return receipts.find(({ task }) => pathOf(paths, task) === path) ?? null;
}

function differs(file: string, size: number, expected: Verified['expected']): PosteError {
  const how = size === expected.size ? 'its bytes are others' : `it has ${size} bytes, and had ${expected.size}`;
  return new PosteError('checksum', `${printable(file)} is not the file of the receipt: ${how}`, { hint: 'it was changed or damaged since; fetch it again' });
}

/** Never waits at a FIFO, and takes a link to the file for the file. */
async function digestOf(path: string): Promise<{ size: number; sha256: string }> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR') throw diskError(error, printable(path));
    throw new PosteError('no-file', `${printable(path)} is not there`, { hint: 'if it was moved, name it: poste verify RECEIPT FILE' });
  });
  try {
    if (!(await handle.stat()).isFile()) throw new PosteError('io', `${printable(path)} is not a regular file`, { hint: 'name the file itself' });
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let size = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, size);
      if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  } catch (error) {
    throw diskError(error, printable(path));
  } finally {
    await handle.close();
  }
}
