import { setTimeout as delay } from 'node:timers/promises';

/** Shows something again every second, on a cleared screen where there is one, until interrupted. */
export async function watch(show: () => Promise<void>): Promise<void> {
  for (;;) {
    if (process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
    await show();
    await delay(1000);
  }
}
