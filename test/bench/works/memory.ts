import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startNginx } from '../../support/nginx.js';
import { posteCommand } from '../clients.js';
import { measure } from '../measure.js';
import { environment, GIBIBYTE, inWords, makeDir, makeFile, MEBIBYTE, MEMORY, whatIsWrong, type Wanted } from '../place.js';
import { withSlowDisk, type SlowDisk } from '../slow-disk.js';
import { inTurn, SCALE, type Outcome } from '../turns.js';
import { memoryOf, workerPid } from '../worker.js';
import type { Work } from '../work.js';

const FILE = 'file.bin';
const SIZE = Math.round(SCALE * GIBIBYTE);
const DISK_RATE = 50 * MEBIBYTE;
const NAME = 'poste --connections 16';

export const memory: Work = {
  name: 'memory',
  title: `The worker’s memory, ${inWords(SIZE)} over 16 connections to a disk that takes 50 MiB/s`,
  about: ['VmHWM, looked at every 20 ms until the worker’s end. The server is as fast as it can be; ext4 on a loop device, slowed down by a control group.'],
  columns: [
    { key: 'peak', title: 'peak, MiB', digits: 0 },
    { key: 'seconds', title: 's' },
  ],
  baseline: NAME,
  run: async () => {
    await using dir = await makeDir(MEMORY);
    await using nginx = await startNginx({ buffers: 'speed', under: dir.path });
    const wanted = new Map([[FILE, await makeFile(join(nginx.root, FILE), FILE, SIZE)]]);
    return await withSlowDisk(Math.ceil(SIZE / MEBIBYTE) + 256, DISK_RATE, (disk) =>
      inTurn('memory', [{ name: NAME, missing: null, run: () => toSlowDisk(disk, nginx.at(`/${FILE}`), wanted) }]),
    );
  },
};

async function toSlowDisk(disk: SlowDisk, url: string, wanted: ReadonlyMap<string, Wanted>): Promise<Outcome> {
  await using dir = await makeDir(disk.path);
  const out = join(dir.path, 'out');
  await mkdir(out);
  const env = environment(dir.path);
  const command = [...disk.enter, out, ...posteCommand('start', '--wait', '--connections', '16', '--to', './', url)];
  const measuring = measure(command, { cwd: '/', env, mostMs: 300_000 });
  const isOver = measuring.all.then(() => true);
  let peak = 0;
  while (!(await Promise.race([isOver, delay(20, false)]))) {
    const pid = workerPid(env['POSTE_HOME'] ?? '');
    try {
      if (pid !== null) peak = Math.max(peak, memoryOf(pid).peak || 0);
    } catch {
      // It has just left.
    }
  }
  const { code, wallMs, words } = await measuring.all;
  if (code !== 0) return { kind: 'failed', why: `exit ${code ?? 'by a signal'}: ${words}` };
  const wrong = await whatIsWrong(out, wanted);
  if (wrong !== null) return { kind: 'failed', why: wrong };
  return peak === 0 ? { kind: 'failed', why: 'the worker was not seen' } : { kind: 'right', figures: { peak: peak / MEBIBYTE, seconds: wallMs / 1000 } };
}
