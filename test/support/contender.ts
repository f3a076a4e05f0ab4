/**
 * A process that contends for a session: `contender.js DIR [TITLE]`. For each line that it reads it does one thing and prints one
 * line of JSON: `take`, `mine` (is it still), `release`.
 */
import { createInterface } from 'node:readline';
import { ownIdentity } from '../../src/platform/process-identity.js';
import { take, type Ownership } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';

const [home = '', title] = process.argv.slice(2);
if (title !== undefined) process.title = title;
let ownership: Ownership | null = null;

console.log(JSON.stringify(ownIdentity()));
for await (const line of createInterface(process.stdin)) {
  console.log(JSON.stringify(await answer(line)));
}

async function answer(line: string): Promise<unknown> {
  if (line === 'mine') return { mine: await ownership?.stillMine() };
  if (line === 'release') return { released: await ownership?.release().then(() => true) };
  try {
    const taken = await take(sessionPaths(home, 'contended'), 'worker', 'test');
    if (taken.kind !== 'taken') return { kind: taken.kind, gen: taken.owner.gen, pid: taken.owner.identity.pid };
    ({ ownership } = taken);
    return { kind: 'taken', gen: ownership.gen, pid: process.pid };
  } catch (error) {
    return { kind: 'error', error: String(error) };
  }
}
