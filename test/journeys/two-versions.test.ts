import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readOwner } from '../../src/store/ownership.js';
import { sessionPaths } from '../../src/store/paths.js';
import { content, serve, startOrigin } from '../support/origin.js';
import { kill, makeHome, type StatusAnswer } from '../support/poste.js';
import { until } from '../support/wait.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const OTHER = '99.0.0';
const MIB = 1 << 20;

/** Installs this build once more, under another version; returns the program. */
async function install(folder: string): Promise<string> {
  await mkdir(folder);
  for (const part of ['bin', 'dist']) await cp(join(PROJECT, part), join(folder, part), { recursive: true });
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  for (const name of ['package.json', 'oclif.manifest.json']) {
    const manifest = JSON.parse(await readFile(join(PROJECT, name), 'utf8')) as object;
    await writeFile(join(folder, name), JSON.stringify({ ...manifest, version: OTHER }));
  }
  return join(folder, 'bin', 'run.js');
}

test('#49 two versions that write the same state share a home: either controls, goes on with and claims what the other began', { timeout: 120_000 }, async () => {
  const file = content('versions', 6 * MIB);
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', bytesPerSecond: 2 * MIB }));
  await using home = await makeHome();
  const program = await install(join(home.root, 'other'));
  const other = async (args: string) => {
    const result = await home.sh(`'${process.execPath}' '${program}' ${args}`);
    expect({ args, code: result.code }).toEqual({ args, code: 0 });
    return result;
  };
  const versionOfWorker = async (): Promise<string | null> => {
    const holder = await readOwner(sessionPaths(home.dir, 'default'));
    return holder.kind === 'live' ? holder.owner.version : null;
  };

  expect((await home.run(['start', origin.at('/file')])).code).toBe(0);
  expect(await versionOfWorker()).not.toBe(OTHER);
  await until('some bytes', async () => (await home.received()) > MIB);
  await other('pause');
  await other('resume');
  kill((await home.workerPid()) ?? 0);
  await until('the worker to be gone', async () => (await home.workerPid()) === null);
  await other('restore');
  expect(await versionOfWorker()).toBe(OTHER);
  await other(`start --paused '${origin.at('/second')}'`);
  expect((await home.run(['cancel', '2'])).code).toBe(0);
  expect((await home.run(['claim', '1', '--wait', '--to', './'])).code).toBe(0);
  expect(file.equals(await readFile(join(home.cwd, 'file')))).toBe(true);
  expect((await other('status --json')).json<StatusAnswer>().sessions[0]?.tasks.map(({ state }) => state)).toEqual(['claimed', 'cancelled']);
  expect(origin.refetched(file.length)).toBeLessThan(MIB);
  expect((await home.journal()).map(({ seq }) => seq)).toEqual((await home.journal()).map((_, index) => index + 1));
});
