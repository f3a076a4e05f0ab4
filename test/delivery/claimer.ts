/**
 * A claimer in a process of its own: `claimer.js ROOT DESTINATION CONFLICT [GO]`. Waits until the file GO is there, claims, and prints what
 * came of it as JSON.
 */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errorInfo } from '../../src/domain/errors.js';
import { claim, shelfAt } from './shelf.js';

const [root = '', destination = '', onConflict = 'fail', go] = process.argv.slice(2);
while (go !== undefined && !existsSync(go)) await delay(1);
try {
  const outcome = await claim(shelfAt(root), destination, { onConflict: onConflict as 'fail' | 'rename' | 'overwrite', waitMs: 30_000 });
  console.log(JSON.stringify(outcome));
} catch (error) {
  console.log(JSON.stringify({ kind: 'error', error: errorInfo(error) }));
}
