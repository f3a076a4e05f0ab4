import { chown, cp, lstat, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { until } from '../support/wait.js';

const file = content('places', 200_000);
const isRoot = process.getuid?.() === 0;
const noSetpriv = isRoot && spawnSync('setpriv', ['--version']).status === 0 ? null : 'needs root and setpriv';
const QUICK = { POSTE_BACKOFF: '0.02' };
/** What is not exactly its owner's alone. The lock directories of a live worker are among what a hook sees. */
const OPEN = (...dirs: readonly string[]): string => `find ${dirs.join(' ')} \\( -type d ! -perm 700 \\) -o \\( -type f ! -perm 600 \\)`;

test.each(['0000', '0777'])('#71 everything is its owner’s alone under umask %s, while it runs too; what is claimed is as the umask has it', async (umask) => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }));
  const temp = join(home.root, 'temp');
  await mkdir(temp);
  const hook = `${OPEN('"$POSTE_HOME"', `${temp}/.poste-*`)} > ${home.root}/open; find "$POSTE_HOME" > ${home.root}/all`;
  const start = `poste start --wait --temp-dir ${temp} -H 'X-Key: hunter2' --on-finish '${hook}' ${origin.at('/file')}`;
  expect((await home.sh(`umask ${umask}; { ${start}; poste attach; poste pause; } > ${home.root}/said 2>&1; ${OPEN(home.dir, `${temp}/.poste-*`)}`)).stdout).toBe('');
  expect(await readFile(join(home.root, 'open'), 'utf8')).toBe('');
  expect(await readFile(join(home.root, 'all'), 'utf8')).toMatch(/worker\.lock[^]*secrets\.json/);
  const claimed = await home.sh(`umask ${umask}; poste claim --to made/deep/; stat -c %a made made/deep made/deep/file`);
  const [dir, plain] = umask === '0000' ? ['777', '666'] : ['0', '0'];
  expect(claimed.stdout.split('\n').slice(1)).toEqual([dir, dir, plain, '']);
});

test.skipIf(noSetpriv !== null)(`#71 a user who has no privileges can use it under umask 0777 (${noSetpriv ?? 'as uid 1234'})`, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }));
  await chown(home.root, 1234, 1234);
  await chown(home.cwd, 1234, 1234);
  await writeFile(join(home.root, 'script'), `umask 0777\nposte start --wait ${origin.at('/file')} && umask 022 && poste claim\n`);
  const result = await home.sh(`exec setpriv --reuid=1234 --regid=1234 --clear-groups /bin/sh ${home.root}/script`);
  expect(result).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/poste: /) as string, stdout: expect.stringContaining(join(home.cwd, 'file')) as string });
  expect(sha256(await readFile(join(home.cwd, 'file')))).toBe(sha256(file));
});

/** A paused session that has begun its download, all of it in the home or, with `temp`, its bytes there. */
async function begun(home: Home, url: string, flags: readonly string[] = []): Promise<void> {
  await home.run(['start', '-H', 'X-Key: hunter2', ...flags, url], { env: QUICK });
  await until('some of it to be here', async () => (await home.received()) > 50_000);
  await home.run(['pause']);
  await home.workerGone();
}

/** Moves what is at `path` outside and puts a link in its place. Returns what is outside, to be compared later. */
async function linked(home: Home, path: string): Promise<() => Promise<string>> {
  const outside = join(home.root, 'outside');
  await rename(path, outside);
  await symlink(outside, path);
  const look = async (): Promise<string> => {
    const names = (await lstat(outside)).isDirectory() ? (await readdir(outside, { recursive: true })).sort() : [''];
    const texts = await Promise.all(names.map((name) => readFile(join(outside, name), 'latin1').catch(() => '')));
    return sha256(Buffer.from(JSON.stringify([names, texts])));
  };
  return look;
}

test('#67 a symbolic link in the place of anything of poste’s own is refused, and nothing is written through it', { timeout: 240_000 }, async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', stallAt: 100_000 }));
  await using model = await makeHome();
  await begun(model, origin.at('/file'));
  const places = {
    '': 2,
    sessions: 2,
    'sessions/default': 17,
    'sessions/default/journal.ndjson': 45,
    'sessions/default/gen': 17,
    'sessions/default/inbox': 17,
    'sessions/default/worker.log': 17,
  };
  await Promise.all(
    Object.entries(places).map(async ([place, code]) => {
      await using home = await makeHome();
      await cp(model.dir, home.dir, { recursive: true });
      const look = await linked(home, join(home.dir, place));
      const before = await look();
      const result = await home.run(['resume'], { timeoutMs: 60_000 });
      expect({ place, code: result.code, lines: result.stderr.split('\n').length }).toEqual({ place, code, lines: 2 });
      expect(await look()).toBe(before);
    }),
  );
});

test('#67 a link in the place of parts, finished files or secrets is refused or replaced, and nothing is written or removed through it', { timeout: 240_000 }, async () => {
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', stallAt: 100_000 }));
  for (const [place, code] of [['sessions/default/parts', 17], ['sessions/default/secrets.json', 24]] as const) {
    await using home = await makeHome();
    await begun(home, origin.at('/file'));
    const look = await linked(home, join(home.dir, place));
    const before = await look();
    await home.run(['resume'], { env: QUICK });
    const ended = await home.run(['attach', '--timeout', '2s'], { timeoutMs: 60_000 });
    expect([place, ended.code === 124 ? 7 : ended.code]).toEqual([place, code]);
    await home.run(['cancel', '--purge', '1']);
    expect(await look()).toBe(before);
  }
});

test.skipIf(!isRoot)('#67 what belongs to somebody else is refused: the home, a session, the folder in --temp-dir', { timeout: 120_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"', stallAt: 100_000 }));
  const temp = join(home.root, 'temp');
  await mkdir(temp);
  await begun(home, origin.at('/file'), ['--temp-dir', temp]);
  const [name = ''] = await readdir(temp);
  await chown(join(temp, name), 1234, 1234);
  await home.run(['resume'], { env: QUICK });
  expect((await home.run(['attach'])).code).toBe(17);
  expect((await home.status()).tasks[0]?.state).toBe('failed');
  expect(await home.run(['start', '--temp-dir', temp, origin.at('/more')])).toMatchObject({ code: 14 });
  await home.workerGone();
  await chown(home.sessionDir(), 1234, 1234);
  expect((await home.run(['status', '--id', 'default'])).code).toBe(17);
  expect((await home.run(['status'])).stderr).toMatch(/belongs to another user/);
  await chown(home.dir, 1234, 1234);
  expect(await home.run(['status'])).toMatchObject({ code: 2, stdout: '' });
});
