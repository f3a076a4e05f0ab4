import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, startOrigin } from '../support/origin.js';
import { makeHome, type ErrorAnswer } from '../support/poste.js';
import { expectRefused, REFUSED, SECRET, URL } from '../support/refusals.js';

/** Those that a row of the catalogue is about; all of them are in `test/long/input.test.ts`. */
test.each(Object.entries(REFUSED).filter(([what]) => what.startsWith('#')))('%s: refused with one line, and nothing made', async (_what, args) => {
  await expectRefused(args);
});

test('with --json the refusal is one JSON object', async () => {
  await using home = await makeHome();
  const some = ['no URL at all', '#100 file:', '#102 an id with a slash', '#104 a header with a line feed', 'a size that is none', 'an unknown flag'];
  for (const args of [...some, 'an input file that is not there', 'an unknown command'].map((what) => REFUSED[what] ?? [])) {
    const result = await home.run([...args, '--json']);
    expect({ args, code: result.code, error: result.json<ErrorAnswer>().error }).toMatchObject({
      args,
      code: 2,
      error: { code: 'usage', exitCode: 2, transient: false },
    });
    expect(result.stdout).not.toContain(SECRET);
  }
  expect(await home.files()).toEqual([]);
});

test('help comes however it is asked for', async () => {
  await using home = await makeHome();
  const shown = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await home.run(args);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
    return stdout;
  };
  const all = await shown('--help');
  expect(all).toContain('claim');
  expect([await shown(), await shown('help')]).toEqual([all, all]);
  expect(await shown('help', 'start')).toBe(await shown('start', '--help'));
  expect(await home.files()).toEqual([]);
});

test('#102 an id that differs from another only in case is refused', async () => {
  await using home = await makeHome();
  expect((await home.run(['start', '--id', 'films', '--paused', URL])).code).toBe(0);
  const twin = await home.run(['start', '--id', 'Films', '--paused', URL]);
  expect(twin.code).toBe(2);
  expect(twin.stderr).toContain('films');
  expect(await home.run(['status', '--id', 'Films'])).toMatchObject({ code: 40 });
});

test('a home that others may write to is refused', async () => {
  await using home = await makeHome();
  await mkdir(home.dir);
  await home.sh('chmod 777 "$POSTE_HOME"');
  const result = await home.run(['start', URL]);
  expect(result.code).not.toBe(0);
  expect(result.stderr).toMatch(/^[^\n]+\n$/);
  expect(await home.files()).toEqual([]);
});

test('#71 whatever the umask, only the owner can read the home', async () => {
  await using home = await makeHome();
  await home.sh(`umask 0000; poste start --paused -H 'Authorization: ${SECRET}' '${URL}'`);
  const open = await home.sh('find "$POSTE_HOME" -perm /077');
  expect(open.stdout).toBe('');
  expect(await home.files()).not.toEqual([]);
});

test('names in input files are no paths, and start reads them from standard input too', async () => {
  await using home = await makeHome();
  const escape = await home.run(['start', '--paused', '-i', '-'], { input: `${URL}\n  out=../../escape\n` });
  expect(escape.code).toBe(2);
  const good = await home.run(['start', '--paused', '-i', '-'], { input: `# two files\n${URL}\n  out=one.bin\n\n${URL}?2\n` });
  expect(good.code).toBe(0);
  expect((await home.status()).tasks.map(({ name }) => name)).toEqual(['one.bin', 'file.bin']);
});

test('#103 the same URL twice, on one command line or in one file, is one task', async () => {
  await using home = await makeHome();
  const started = await home.run(['start', '--paused', '--json', URL, URL, '-i', '-'], { input: `${URL}\n${URL}\n` });
  expect(started.code).toBe(0);
  expect((await home.status()).tasks.map(({ url }) => url)).toEqual([URL]);
});

test('#101 #69 names from URLs: one harmless name each, shown as it is', async () => {
  const names: Readonly<Record<string, string>> = {
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd': 'passwd',
    '..%5c..%5cboot.ini': 'boot.ini',
    '%2fetc%2fshadow': 'shadow',
    'C%3a%5cevil.exe': 'evil.exe',
    'C:evil.exe': 'C_evil.exe',
    'a.txt:hidden': 'a.txt_hidden',
    CON: 'CON_',
    'nul.tar.gz': 'nul_.tar.gz',
    '.bashrc': 'bashrc',
    '-rf': 'rf',
    'photo%e2%80%aegpj.exe': 'photogpj.exe',
    '%1b%5b2Jfilm.mkv': '[2Jfilm.mkv',
    '': 'download',
    '%2e%2e%2f': 'download',
    [`${'x'.repeat(300)}.iso`]: `${'x'.repeat(251)}.iso`,
  };
  await using home = await makeHome();
  const lines = Object.keys(names).map((last, n) => `http://127.0.0.1:9/${n}/${last}`);
  expect((await home.run(['start', '--paused', '-i', '-'], { input: lines.join('\n') })).code).toBe(0);
  const { tasks } = await home.status();
  expect(tasks.map(({ name }) => name)).toEqual(Object.values(names));
  const shown = (await home.run(['status', '--id', 'default'])).stdout;
  for (const control of ['\x1b', '\u202e']) expect(shown).not.toContain(control);
});

test('#100 user and password of a URL are moved out of sight, and reach the server that they are for', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(content('userinfo', 1000), { etag: '"a"' }));
  const started = await home.run(['start', '--wait', '--json', origin.at('/file.bin').replace('://', `://me:${SECRET}@`)]);
  expect(started.code).toBe(0);
  expect(origin.log[0]?.headers.get('authorization')).toBe(`Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`);
  const shown = [started.stdout, started.stderr, (await home.run(['status', '--json'])).stdout, (await home.run(['events', '--json'])).stdout];
  expect(shown.join('')).not.toContain(SECRET);
  expect(await readFile(join(home.sessionDir(), 'journal.ndjson'), 'utf8')).not.toContain(SECRET);
});
