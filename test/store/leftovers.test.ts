import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unfinishedName } from '../../src/store/files.js';
import { sweepHome, sweepLeftovers } from '../../src/store/leftovers.js';
import { heldConnectionsDir, hostsDir, sessionPaths } from '../../src/store/paths.js';

test('#40 what killed processes had half written is removed: the owner’s own at once, that of others and unfetched answers when it is old', async () => {
  const home = await mkdtemp(join(tmpdir(), 'poste-leftovers-'));
  try {
    const paths = sessionPaths(home, 's');
    const parts = join(home, 'temp', 'parts');
    const others = [paths.generations, paths.inbox, paths.intents, paths.receipts];
    const folders = [paths.dir, parts, ...others, paths.answers];
    for (const folder of folders) {
      await mkdir(folder, { recursive: true });
      for (const name of ['1.json', unfinishedName('1.json')]) await writeFile(join(folder, name), 'secret');
    }
    const left = async (): Promise<string[]> => {
      const names = await Promise.all(folders.map((folder) => readdir(folder).then((all) => all.filter((name) => /json/.test(name)).map((name) => join(folder, name)))));
      return names.flat().filter((path) => !path.endsWith('/1.json'));
    };
    await sweepLeftovers(paths, join(home, 'temp'), Date.now());
    expect((await left()).map((path) => path.slice(0, path.lastIndexOf('/')))).toEqual([...others, paths.answers]);
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const folder of folders) for (const name of await readdir(folder)) await utimes(join(folder, name), longAgo, longAgo);
    await sweepLeftovers(paths, join(home, 'temp'), Date.now());
    expect(await left()).toEqual([]);
    expect((await readdir(paths.inbox)).concat(await readdir(paths.answers), await readdir(paths.intents))).toEqual(['1.json', '1.json']);
    await sweepLeftovers(sessionPaths(home, 'none'), null, Date.now());
  } finally {
    await rm(home, { recursive: true });
  }
});

test('#40 beside the sessions too: what was half written long ago is removed, wherever workers write', async () => {
  const home = await mkdtemp(join(tmpdir(), 'poste-leftovers-'));
  try {
    const longAgo = new Date(Date.now() - 3_600_000);
    const folders = [home, hostsDir(home), heldConnectionsDir(home)];
    await mkdir(heldConnectionsDir(home), { recursive: true });
    for (const [nth, folder] of folders.entries()) {
      const old = join(folder, unfinishedName(`old-${nth}`));
      await writeFile(old, '');
      await utimes(old, longAgo, longAgo);
      await writeFile(join(folder, unfinishedName(`new-${nth}`)), '');
    }
    await sweepHome(home, Date.now());
    const left = (await Promise.all(folders.map((folder) => readdir(folder)))).flat().filter((name) => name.startsWith('.'));
    expect(left.map((name) => name.slice(0, 6))).toEqual(['.new-0', '.new-1', '.new-2']);
  } finally {
    await rm(home, { recursive: true });
  }
});
