import { readFileSync } from 'node:fs';

/** How many files this process may have open at once; `null` where that cannot be found out. Node has raised it as far as it may by then. */
export function descriptorLimit(): number | null {
  try {
    const limit = /^Max open files +(\d+) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}
