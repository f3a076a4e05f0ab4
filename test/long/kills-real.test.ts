import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { nginxMissing, startNginx } from '../support/nginx.js';
import { kill, makeHome, type Home } from '../support/poste.js';
import { until } from '../support/wait.js';

const KILLS = 10;
const MIB = 1 << 20;
const SIZE_AT_LEAST = 200 * MIB;
/** Slow enough that ten kills, and as many starts of a worker, fit into one download. */
const BYTES_PER_SECOND = 8 * MIB;

const WAYS = {
  'a server that gives 8 MiB a second': { limitRate: BYTES_PER_SECOND, flags: ['--connections', '1'] },
  // Here the server would send ahead into buffers, and count it.
  'a server without a limit, and --limit-rate 4M': { limitRate: 0, flags: ['--limit-rate', '4M'] },
};

test.skipIf(nginxMissing).for(Object.entries(WAYS))(
  `#40 a worker killed ten times in one download costs at most 1 MiB each time, and the file is right: %s (nginx: ${nginxMissing ?? 'installed'})`,
  { timeout: 240_000 },
  async ([, { limitRate, flags }]) => {
    await using home = await makeHome();
    await using nginx = await startNginx({ limitRate });
    const served = join(nginx.root, 'real.tar');
    const size = await packRealFiles(served);

    expect((await home.run(['start', ...flags, nginx.at('/real.tar')])).code).toBe(0);
    const killedAt: number[] = [];
    while (killedAt.length < KILLS) {
      const received = (await home.status()).tasks[0]?.bytesReceived ?? 0;
      const next = received + (size - received) * (0.01 + 0.05 * Math.random());
      killedAt.push(await killWorkerAfter(home, next));
      await revive(home);
    }
    expect((await home.run(['set', '--limit-rate', '0'])).code).toBe(0);
    expect((await home.run(['attach'], { timeoutMs: 120_000 })).code).toBe(0);
    const claimed = await home.run(['claim'], { timeoutMs: 60_000 });
    expect({ code: claimed.code, stderr: claimed.stderr }).toEqual({ code: 0, stderr: '' });
    expect(await digestOf(claimed.stdout.trim())).toBe(await digestOf(served));

    const requests = await until('the log of every request', async () => {
      const entries = await nginx.log();
      return entries.length > KILLS && entries;
    });
    const sent = requests.reduce((sum, entry) => sum + entry.bodyBytesSent, 0);
    const beyond = sent - size;
    console.log(
      `kill -9 × ${KILLS}, ${flags.join(' ')}: ${size} bytes, killed at ${killedAt.join(' ')}; ${requests.length} requests, ${sent} bytes sent, ` +
        `${beyond} beyond the size (${Math.round(beyond / KILLS / 1024)} KiB a kill, bound 1024)`,
    );
    expect(beyond).toBeLessThanOrEqual(KILLS * MIB);
  },
);

/** A tar of files that nobody made for a test, of at least {@link SIZE_AT_LEAST} bytes. Returns its size. */
async function packRealFiles(path: string): Promise<number> {
  const prefix = dirname(dirname(process.execPath));
  const modules = await realpath(fileURLToPath(new URL('../../node_modules', import.meta.url)));
  for (const source of [process.execPath, join(prefix, 'lib/node_modules'), modules, '/usr/bin']) {
    await promisify(execFile)('tar', ['-rf', path, '-C', '/', source.slice(1)]).catch(() => undefined);
    const { size } = await stat(path);
    if (size >= SIZE_AT_LEAST) return size;
  }
  throw new Error('this machine has not enough real files');
}

/** Kills the worker once it has received `bytes`; returns how many it had. */
async function killWorkerAfter(home: Home, bytes: number): Promise<number> {
  const seen = async (): Promise<{ pid: number; received: number } | null> => {
    const pid = await home.workerPid();
    const received = await home.received();
    return pid !== null && received >= bytes ? { pid, received } : null;
  };
  const { pid, received } = await until(`${Math.round(bytes)} bytes to arrive`, seen, { deadlineMs: 60_000 });
  kill(pid);
  await until('the worker to be dead', async () => (await home.workerPid()) === null);
  // Had it finished already, the kill would prove nothing.
  expect((await home.status()).state).toBe('interrupted');
  return received;
}

/** Attaches, which starts a worker again, and leaves as soon as it lives. */
async function revive(home: Home): Promise<void> {
  const attached = home.spawn(['attach']);
  await until('attach to revive the session', async () => (await home.workerPid()) !== null);
  attached.kill('SIGINT');
  await attached.exit;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
