import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';

const DESCRIPTORS = '/proc/self/fd';
const FLAGS = '/proc/self/fdinfo';
/** The kernel's O_CLOEXEC, as fdinfo has it; Node has no constant for it. */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what this process got from the one that started it, but for standard input, output and error: the lock of a script
 * (`exec 200>lock; flock 200`) or the end of a pipe would stay taken for as long as this process lives. What Node opens itself is closed
 * by an exec and so cannot have come through one (looked at with Node 20, 22 and 24). Only Linux tells; elsewhere nothing is closed.
 */
export function closeInherited(): void {
  if (!existsSync(FLAGS)) return;
  for (const fd of openDescriptors()) {
    if (fd > 2 && isInherited(fd)) closeSync(fd);
  }
}

/** None when there is no descriptor left to look with: then something may stay open longer than it should, which is no reason not to work. */
function openDescriptors(): number[] {
  try {
    return readdirSync(DESCRIPTORS).map(Number);
  } catch {
    return [];
  }
}

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`${FLAGS}/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // Closed since: the descriptor that the folder was read through.
    return false;
  }
}
