import { constants, existsSync, statSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';

const file = content('other file system', 3_000_000);
const OTHER = '/dev/shm';
const sameFileSystem = !existsSync(OTHER) || statSync(OTHER).dev === statSync(tmpdir()).dev ? 'no second file system here' : null;
const cannotMount = spawnSync('unshare', ['-m', 'true']).status === 0 ? null : 'mounting is not allowed here';

/** A home that holds one finished file. */
async function held(flags: readonly string[] = []): Promise<Home> {
  const home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"' }));
  const { code, stderr } = await home.run(['start', '--wait', ...flags, origin.at('/file.bin')]);
  if (code !== 0) throw new Error(`start --wait: exit ${code}: ${stderr}`);
  return home;
}

/** It can be claimed still, whole. */
async function expectKept(home: Home): Promise<void> {
  const task = (await home.status()).tasks[0];
  expect(task?.state).toBe('finished');
  expect(sha256(await readFile(task?.file ?? ''))).toBe(sha256(file));
  expect((await home.run(['claim', '--to', join(home.root, 'rescued.bin')])).code).toBe(0);
}

test.skipIf(sameFileSystem)(`#70 a file is claimed to another file system, with nothing beside it (${sameFileSystem ?? OTHER})`, async () => {
  await using home = await held();
  const place = await mkdtemp(join(OTHER, 'poste-test-'));
  try {
    const claimed = await home.run(['claim', '--to', place]);
    expect(claimed).toMatchObject({ code: 0, stdout: `${join(place, 'file.bin')}\n` });
    expect(sha256(await readFile(join(place, 'file.bin')))).toBe(sha256(file));
    expect(await readdir(place)).toEqual(['file.bin']);
    expect((await home.files()).filter((path) => path.endsWith('file.bin'))).toEqual([]);
  } finally {
    await rm(place, { recursive: true });
  }
});

test.skipIf(sameFileSystem)(`--temp-dir holds the bytes on the file system of your choice (${sameFileSystem ?? OTHER})`, async () => {
  const place = await mkdtemp(join(OTHER, 'poste-test-'));
  try {
    await using home = await held(['--temp-dir', place]);
    const from = (await home.status()).tasks[0]?.file ?? '';
    expect(from.startsWith(`${place}/`)).toBe(true);
    const inode = (await stat(from)).ino;
    const claimed = await home.run(['claim', '--to', join(place, 'here.bin')]);
    expect(claimed.code).toBe(0);
    // On the destination's own file system a claim moves the file and copies nothing.
    expect((await stat(join(place, 'here.bin'))).ino).toBe(inode);
  } finally {
    await rm(place, { recursive: true });
  }
});

for (const [where, place] of [['the same file system', tmpdir()], ['another file system', OTHER]] as const) {
  test.skipIf(where === 'another file system' && sameFileSystem)(`#68 what is there already is not overwritten unasked: ${where}`, async () => {
    await using home = await held();
    const dir = await mkdtemp(join(place, 'poste-test-'));
    try {
      const taken = join(dir, 'file.bin');
      await writeFile(taken, 'precious');
      const refused = await home.run(['claim', '--to', dir]);
      expect(refused).toMatchObject({ code: 13, stdout: '' });
      expect(refused.stderr).toMatch(/--on-conflict/);
      expect(await readFile(taken, 'utf8')).toBe('precious');
      const renamed = await home.run(['claim', '--to', dir, '--on-conflict', 'rename']);
      expect(renamed).toMatchObject({ code: 0, stdout: `${join(dir, 'file (1).bin')}\n` });
      expect(sha256(await readFile(join(dir, 'file (1).bin')))).toBe(sha256(file));
      expect((await readdir(dir)).sort()).toEqual(['file (1).bin', 'file.bin']);
      expect(await readFile(taken, 'utf8')).toBe('precious');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test.skipIf(where === 'another file system' && sameFileSystem)(`--on-conflict overwrite replaces it as a whole: ${where}`, async () => {
    await using home = await held();
    const dir = await mkdtemp(join(place, 'poste-test-'));
    try {
      await writeFile(join(dir, 'file.bin'), 'old');
      expect((await home.run(['claim', '--to', dir, '--on-conflict', 'overwrite'])).code).toBe(0);
      expect(sha256(await readFile(join(dir, 'file.bin')))).toBe(sha256(file));
      expect(await readdir(dir)).toEqual(['file.bin']);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
}

test('#68 a destination that ends in a slash is made; one without a parent is refused, and the file kept', async () => {
  await using home = await held();
  expect(await home.run(['claim', '--to', join(home.root, 'no/such/file.bin')])).toMatchObject({ code: 14, stdout: '' });
  expect((await home.status()).tasks[0]?.state).toBe('finished');
  const made = await home.run(['claim', '--to', `${join(home.root, 'made/for/it')}/`]);
  expect(made).toMatchObject({ code: 0, stdout: `${join(home.root, 'made/for/it/file.bin')}\n` });
});

for (const onConflict of ['fail', 'overwrite']) {
  test(`#68 a FIFO, a device, a directory and a broken link in the way are left as they are (--on-conflict ${onConflict})`, async () => {
    await using home = await held();
    // Without the right to make a device there is a second FIFO.
    await home.sh('mkfifo fifo; mknod device c 1 3 || mkfifo device; mkdir -p dir/file.bin; ln -s nowhere link');
    const before = (await lstat(join(home.cwd, 'fifo'))).ino;
    // Held open for reading, so that a mistaken open for writing cannot hang.
    const reader = await open(join(home.cwd, 'fifo'), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (const place of ['fifo', 'device', 'dir', ...(onConflict === 'fail' ? ['link'] : [])]) {
        const refused = await home.run(['claim', '--to', place, '--on-conflict', onConflict]);
        const isRefused = (refused.code === 13 || refused.code === 14) && refused.stdout === '';
        expect({ place, isRefused }).toEqual({ place, isRefused: true });
      }
    } finally {
      await reader.close();
    }
    expect((await lstat(join(home.cwd, 'fifo'))).ino).toBe(before);
    expect((await lstat(join(home.cwd, 'device'))).isFile()).toBe(false);
    expect(await readdir(join(home.cwd, 'dir/file.bin'))).toEqual([]);
    await expectKept(home);
  });
}

test.skipIf(cannotMount)(`#68 a read-only destination is refused, and the file kept (${cannotMount ?? 'in a mount namespace'})`, async () => {
  await using home = await held();
  const readOnly = join(home.root, 'read-only');
  await mkdir(readOnly);
  const script = 'mount -t tmpfs -o ro none "$PLACE" && poste claim --to "$PLACE"';
  const refused = await home.sh(`unshare -m sh -c '${script}'`, { env: { PLACE: readOnly } });
  expect({ code: refused.code, stderr: refused.code === 14 ? '' : refused.stderr }).toEqual({ code: 14, stderr: '' });
  await expectKept(home);
});

test.skipIf(cannotMount)(`a full destination is refused, and the file kept (${cannotMount ?? 'in a mount namespace'})`, async () => {
  await using home = await held();
  const small = join(home.root, 'small');
  await mkdir(small);
  const script = 'mount -t tmpfs -o size=1m none "$PLACE" && poste claim --to "$PLACE"; echo code $?; ls -A "$PLACE"';
  const refused = await home.sh(`unshare -m sh -c '${script}'`, { env: { PLACE: small } });
  expect(refused.stdout).toBe('code 9\n');
  await expectKept(home);
});

test('a claimed file has the mode that any new file would have', async () => {
  await using home = await held();
  await home.sh('umask 027; poste claim');
  expect(((await stat(join(home.cwd, 'file.bin'))).mode & 0o777).toString(8)).toBe('640');
});

test('#69 names that differ only in how an accent is written are one name: the second file is refused, and told apart when asked', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(({ path }) => serve(Buffer.from(path), { etag: '"a"' }));
  expect((await home.run(['start', '--wait', origin.at('/caf%C3%A9.txt'), origin.at('/cafe%CC%81.txt')])).code).toBe(0);
  expect((await home.run(['claim', '--to', './'])).code).toBe(13);
  expect((await home.run(['claim', '--to', './', '--on-conflict', 'rename'])).code).toBe(0);
  expect((await readdir(home.cwd)).sort()).toEqual(['café (1).txt', 'café.txt'].map((name) => name.normalize('NFC')).sort());
  const contents = await Promise.all(['café.txt', 'café (1).txt'].map((name) => readFile(join(home.cwd, name.normalize('NFC')), 'utf8')));
  expect(contents.sort()).toEqual(['/caf%C3%A9.txt', '/cafe%CC%81.txt'].sort());
});
