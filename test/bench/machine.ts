import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { PROGRAMS, versionOf } from './clients.js';
import { burner, measure } from './measure.js';
import { DISK, MEMORY } from './place.js';

/** What the figures were made on, by what it is called. */
export async function describeMachine(): Promise<Record<string, string>> {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC',
    processor: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    'load before': loadavg().map((load) => load.toFixed(1)).join(', '),
    kernel: release(),
    node: process.version,
    nginx: /nginx\/(\S+)/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8', env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` } }).stderr)?.[1] ?? 'not installed',
    ...Object.fromEntries(PROGRAMS.map((program) => [program, versionOf(program) ?? 'not installed'])),
    'files in memory': `${MEMORY} (${await fileSystem(MEMORY)})`,
    'files on disk': `${DISK} (${await fileSystem(DISK)})`,
    'processor time': await checkProcessorTime(),
  };
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = { 0xef53: 'ext4', 0x01021994: 'tmpfs', 0x9123683e: 'btrfs', 0x58465342: 'xfs', 0x794c7630: 'overlay' };

async function fileSystem(path: string): Promise<string> {
  const { type } = await statfs(path);
  return FILE_SYSTEMS[type] ?? `type 0x${type.toString(16)}`;
}

/** Has a process that got away from its parents burn what it then tells. @throws Error when that is not what was counted */
async function checkProcessorTime(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'poste-burner-'));
  try {
    const file = join(dir, 'used');
    const { cpuMs } = await measure(burner(file), { cwd: dir, env: { PATH: process.env['PATH'] ?? '' }, mostMs: 60_000 }).all;
    const used = Number(readFileSync(file, 'utf8'));
    if (!(cpuMs > used - 20 && cpuMs < used + 200)) throw new Error(`processor time is not measured right: ${used} ms were counted as ${cpuMs}`);
    return `a detached process that used ${used.toFixed(0)} ms was counted as ${cpuMs.toFixed(0)} ms, two perls' start included`;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
