import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NOTHING_HELD, sumOfHeld, type Held } from '../domain/connection-budget.js';
import { count, instant, record, tableOf } from '../domain/shape.js';
import { readSealed, removeIfThere, replaceFile } from './files.js';
import { makeDir } from './own-dir.js';
import { heldConnectionsDir } from './paths.js';
import { seal } from './sealed.js';

/** Connections by origin. */
export type HeldByOrigin = ReadonlyMap<string, Held>;

/** Milliseconds after which what a worker said is no news: it says it every second while it has connections. */
const LIFETIME = 5_000;
/** After so long it is of a worker that was killed. */
const REMOVED_AFTER = 60_000;

const isHeld = record({ at: instant, origins: tableOf(record({ downloads: count, connections: count })) });

/** Tells the workers of the home's other sessions what this one has open. `at`: epoch milliseconds. */
export async function tellHeld(home: string, id: string, held: HeldByOrigin, at: number): Promise<void> {
  await makeDir(heldConnectionsDir(home));
  await replaceFile(pathOf(home, id), seal({ at, origins: Object.fromEntries(held) }), { durable: false });
}

export async function forgetHeld(home: string, id: string): Promise<void> {
  await removeIfThere(pathOf(home, id));
}

/** What the workers of the home's other sessions have open, as far as they have said. */
export async function heldElsewhere(home: string, id: string, now: number): Promise<HeldByOrigin> {
  const all = new Map<string, Held>();
  for (const name of await readdir(heldConnectionsDir(home)).catch(() => [])) {
    if (name === `${id}.json`) continue;
    const said = await readSealed(join(heldConnectionsDir(home), name)).catch(() => null);
    if (!isHeld(said)) continue;
    const { at, origins } = said as unknown as { at: number; origins: Record<string, Held> };
    if (now - at > REMOVED_AFTER) await removeIfThere(join(heldConnectionsDir(home), name)).catch(() => undefined);
    if (Math.abs(now - at) > LIFETIME) continue;
    for (const [origin, held] of Object.entries(origins)) all.set(origin, sumOfHeld(all.get(origin) ?? NOTHING_HELD, held));
  }
  return all;
}

function pathOf(home: string, id: string): string {
  return join(heldConnectionsDir(home), `${id}.json`);
}
