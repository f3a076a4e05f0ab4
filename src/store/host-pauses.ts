import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { makeDir, readIfThere, replaceFile } from './files.js';
import { seal, unseal } from './sealed.js';

/** A server that asked to be left alone, for every session of this home. Times in epoch milliseconds. */
export interface HostPause {
  readonly since: number;
  readonly until: number;
}

export async function pauseHost(home: string, origin: string, pause: HostPause): Promise<void> {
  await makeDir(join(home, 'hosts'));
  await replaceFile(pausePath(home, origin), seal(pause), { durable: false });
}

export async function readHostPause(home: string, origin: string): Promise<HostPause | null> {
  const text = await readIfThere(pausePath(home, origin));
  const record = text === null ? null : unseal(text);
  return record === null ? null : (record as unknown as HostPause);
}

function pausePath(home: string, origin: string): string {
  return join(home, 'hosts', `${createHash('sha256').update(origin).digest('hex').slice(0, 16)}.json`);
}
