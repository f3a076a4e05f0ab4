import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compile } from '../support/compiled.js';
import { kill } from '../support/poste.js';
import { until } from '../support/wait.js';

test.runIf(process.platform === 'linux')('what a script holds is free again when it ends, while what it started in the background goes on', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'poste-inherited-'));
  const compiled = await compile('src/platform/detached.ts', 'src/platform/inherited.ts');
  const [lock, log] = [join(dir, 'lock'), join(dir, 'log')];
  const from = (name: string): string => JSON.stringify(join(compiled, 'src/platform', name));
  // It goes on with all that a worker does: sockets, files, name look-ups, processes, and words to its log.
  const background = `
    import { closeInherited } from ${from('inherited.js')};
    import { spawn } from 'node:child_process';
    import { readFile } from 'node:fs/promises';
    import { createServer, connect } from 'node:net';
    closeInherited();
    await readFile('/proc/self/stat');
    const server = createServer((socket) => socket.end('x')).listen(0, 'localhost', () => {
      connect(server.address().port, 'localhost').on('data', () => {
        spawn('/bin/echo', ['at work'], { stdio: 'inherit' }).on('exit', () => setInterval(() => undefined, 1000));
      });
    });`;
  const starter = `
    import { spawnDetached } from ${from('detached.js')};
    const args = ['--input-type=module', '-e', ${JSON.stringify(background)}];
    const { pid } = await spawnDetached({ file: process.execPath, args, env: {}, logPath: ${JSON.stringify(log)}, nice: false });
    console.log(pid);`;
  const script = 'exec 200>"$0"; flock -n 200 || exit 1; exec 9>&1 1>"$0.pid"; "$1" --input-type=module -e "$2"';
  try {
    const started = spawnSync('bash', ['-c', script, lock, process.execPath, starter], { encoding: 'utf8', timeout: 20_000 });
    expect(started).toMatchObject({ status: 0, stderr: '' });
    const pid = Number(await readFile(`${lock}.pid`, 'utf8'));
    try {
      await until('it to be at work', async () => (await readFile(log, 'utf8')) === 'at work\n');
      expect(spawnSync('flock', ['-n', lock, 'true']).status).toBe(0);
      expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).toContain('closeInherited');
    } finally {
      kill(pid);
    }
  } finally {
    for (const path of [dir, compiled]) await rm(path, { recursive: true });
  }
});
