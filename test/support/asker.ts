/**
 * A process that asks things of sessions as commands do, one after the other: `asker.js HOME`. For each line of JSON that it reads (an
 * {@link Errand}) it prints one with what came of it.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { errorInfo } from '../../src/domain/errors.js';
import type { Request } from '../../src/domain/requests.js';
import { askingFor } from '../../src/session/ask.js';
import { claim } from '../../src/session/claim.js';
import { control } from '../../src/session/control.js';

export type Errand = { readonly id: string; readonly delayMs: number } & (
  | { readonly kind: 'claim'; readonly names: readonly string[]; readonly to: string; readonly since: number }
  | { readonly kind: 'control'; readonly request: Request }
);

const [home = ''] = process.argv.slice(2);
console.log('ready');
for await (const line of createInterface(process.stdin)) {
  console.log(JSON.stringify(await run(JSON.parse(line) as Errand)));
}

async function run(errand: Errand): Promise<unknown> {
  const asking = askingFor(home, errand.id, false);
  if (errand.delayMs > 0) await delay(errand.delayMs);
  try {
    if (errand.kind === 'control') {
      await control(asking, errand.request);
      return { paths: [], codes: [] };
    }
    const { names, to, since } = errand;
    const { claimed, failed } = await claim(asking, { names, to, since, cwd: '/', onConflict: 'fail', wait: false, timeoutMs: null }, () => undefined);
    return { paths: claimed.map(({ path }) => path), codes: failed.map(({ error }) => error.code) };
  } catch (error) {
    return { paths: [], codes: [errorInfo(error).code], message: errorInfo(error).message };
  }
}
