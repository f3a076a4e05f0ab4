import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { instant, record } from '../domain/shape.js';
import { readSealed, replaceFile } from './files.js';
import { makeDir } from './own-dir.js';
import { hostsDir } from './paths.js';
import { seal } from './sealed.js';

/** A server that asked to be left alone, for every session of this home. Times in epoch milliseconds. */
export interface HostPause {
  readonly since: number;
  readonly until: number;
}

const isPause = record({ since: instant, until: instant });

export async function pauseHost(home: string, origin: string, pause: HostPause): Promise<void> {
  await makeDir(hostsDir(home));
  await replaceFile(pausePath(home, origin), seal(pause), { durable: false });
}

export async function readHostPause(home: string, origin: string): Promise<HostPause | null> {
  const pause = await readSealed(pausePath(home, origin));
  return isPause(pause) ? (pause as unknown as HostPause) : null;
}

function pausePath(home: string, origin: string): string {
  return join(hostsDir(home), `${createHash('sha256').update(origin).digest('hex').slice(0, 16)}.json`);
}
