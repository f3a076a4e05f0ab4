import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../support/wait.js';
import { makeDir, MEMORY } from './place.js';

export interface SlowDisk {
  /** An empty ext4. The path is good inside and outside of it. */
  readonly path: string;
  /** In front of a command, has it write slowly. It runs in the directory that is the word after these. */
  readonly enter: readonly string[];
}

const [V1, V2] = ['/sys/fs/cgroup/blkio', '/sys/fs/cgroup'];
const MOUNT = `cd "$0" && mkdir disk && truncate -s "$1M" image && mkfs.ext4 -q -F -m 0 image && mount -o loop image disk &&
  stat -c %Hd:%Ld disk && exec cat`;

/**
 * Lends a disk in memory, on a loop device in a mount namespace of its own, that takes `bytesPerSecond` from those in a control group: what
 * their syncs write waits in the block layer, as at a disk that is no faster. @throws Error with the reason when there can be none
 */
export async function withSlowDisk<T>(mebibytes: number, bytesPerSecond: number, use: (disk: SlowDisk) => Promise<T>): Promise<T> {
  const isV2 = existsSync(join(V2, 'cgroup.controllers'));
  if (process.getuid?.() !== 0) throw new Error('a slow disk needs a mount and a control group, so root');
  if (!isV2 && !existsSync(V1)) throw new Error('there is no control group for block devices here');
  await using dir = await makeDir(MEMORY);
  const group = join(isV2 ? V2 : V1, `poste-bench-${process.pid}`);
  await mkdir(group);
  const keeper = spawn('unshare', ['-m', 'sh', '-c', MOUNT, dir.path, String(mebibytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(keeper, 'close');
  try {
    const [device] = (await Promise.race([once(keeper.stdout, 'data'), gone])) as [Buffer | number | null];
    if (!(device instanceof Buffer)) throw new Error('no ext4 on a loop device can be mounted here');
    if (isV2) await writeFile(join(V2, 'cgroup.subtree_control'), '+io');
    const limit = `${device.toString().trim()} ${isV2 ? 'wbps=' : ''}${bytesPerSecond}`;
    await writeFile(join(group, isV2 ? 'io.max' : 'blkio.throttle.write_bps_device'), limit);
    const path = `/proc/${keeper.pid ?? 0}/root${dir.path}/disk`;
    const enter = ['nsenter', '-t', String(keeper.pid), '-m', '--', 'sh', '-c', `echo $$ > ${group}/cgroup.procs && cd "$0" && exec "$@"`];
    check(path, enter, bytesPerSecond);
    return await use({ path, enter });
  } finally {
    keeper.kill('SIGKILL');
    await gone;
    await until('the control group to be empty', () => rmdir(group).then(() => true));
  }
}

/** A limit that does not hold would make a figure that is none. */
function check(path: string, [command = '', ...args]: readonly string[], bytesPerSecond: number): void {
  const count = Math.ceil(bytesPerSecond / (1 << 20));
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(command, [...args, path, 'dd', 'if=/dev/zero', 'of=probe', 'bs=1M', `count=${count}`, 'conv=fdatasync'], { encoding: 'utf8' });
  const seconds = (performance.now() - startedAt) / 1000;
  if (status !== 0) throw new Error(`nothing can be written to the slow disk: ${stderr}`);
  if (seconds < 0.8 || seconds > 3) throw new Error(`the slow disk is not as slow as it should be: ${seconds.toFixed(2)} s for what takes 1 s`);
  spawnSync('rm', [join(path, 'probe')]);
}
