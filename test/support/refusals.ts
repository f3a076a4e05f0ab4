import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { makeHome } from './poste.js';

export const URL = 'http://127.0.0.1:9/file.bin';
export const SECRET = 'hunter2';

/** What must be refused before anything is made; by what is wrong with it. */
export const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'no URL at all': ['start'],
  '#100 a URL that is none': ['start', 'not a url'],
  '#100 a URL without a scheme': ['start', 'example.org/file'],
  '#100 file:': ['start', 'file:///etc/passwd'],
  '#100 ftp:': ['start', 'ftp://127.0.0.1/file'],
  '#100 javascript:': ['start', 'javascript:alert(1)'],
  '#100 data:': ['start', 'data:text/plain,hello'],
  '#100 a line feed in a URL': ['start', 'http://127.0.0.1:9/a\nb'],
  '#100 an escape character in a URL': ['start', 'http://127.0.0.1:9/a\x1b[2Jb'],
  '#100 a port that is none': ['start', 'http://127.0.0.1:99999/'],
  'a bad URL after a good one': ['start', URL, 'ftp://127.0.0.1/file'],
  '#102 an id with a slash': ['start', '--id', 'a/b', URL],
  '#102 the id ..': ['start', '--id', '..', URL],
  '#102 the id .': ['start', '--id', '.', URL],
  '#102 an empty id': ['start', '--id', '', URL],
  '#102 an id of 65 characters': ['start', '--id', 'x'.repeat(65), URL],
  'an id that begins with a dot': ['start', '--id', '.hidden', URL],
  'an id with a space': ['start', '--id', 'a b', URL],
  'an id with a letter beyond ASCII': ['start', '--id', 'é', URL],
  '#102 an id of 130 000 characters': ['start', '--id', 'y'.repeat(130_000), URL],
  '#104 a header file with a NUL': ['start', '--header-file', 'nul.txt', URL],
  '#104 a header file with a carriage return': ['start', '--header-file', 'cr.txt', URL],
  '#104 an input file with a NUL in a header': ['start', '-i', 'nul-header.txt'],
  '#103 two lines of an input file for one destination': ['start', '-i', 'one-place.txt'],
  '#104 a header with a line feed': ['start', '-H', `X-A: a\nX-B: ${SECRET}`, URL],
  '#104 a header with a carriage return': ['start', '-H', `X-A: a\rX-B: ${SECRET}`, URL],
  'a header without a colon': ['start', '-H', SECRET, URL],
  'a header with a space in its name': ['start', '-H', `X A: ${SECRET}`, URL],
  'a header that is not the user’s to set': ['start', '-H', 'Range: bytes=5-', URL],
  'a size that is none': ['start', '--max-size', '10Q', URL],
  'a negative size': ['start', '--expect-size=-1', URL],
  'a rate that is none': ['start', '--limit-rate', 'fast', URL],
  'a duration that is none': ['start', '--stall-timeout', 'soon', URL],
  'a time that is none': ['start', '--not-before', 'in a while', URL],
  'a number of tries that is none': ['start', '--retries', 'few', URL],
  'no jobs': ['start', '--jobs', '0', URL],
  'no connections': ['start', '--connections', '0', URL],
  'md5 as a proof': ['start', '--checksum', `md5:${'0'.repeat(32)}`, URL],
  'a checksum that is too short': ['start', '--checksum', 'sha256:abcd', URL],
  'a checksum of no known kind': ['start', '--checksum', `crc9:${'0'.repeat(8)}`, URL],
  'a condition that is none': ['start', '--discretionary', '--when', 'sometimes', URL],
  'a priority that is none': ['start', '--priority', 'urgent', URL],
  'an unknown flag': ['start', '--fast', URL],
  'a flag without its value': ['start', URL, '--max-size'],
  'an input file that is not there': ['start', '-i', 'missing.txt'],
  'an input file with a bad line': ['start', '-i', 'bad-lines.txt'],
  'an input file with an unknown option': ['start', '-i', 'bad-option.txt'],
  'an input file without a URL': ['start', '-i', 'empty.txt'],
  'a CA file that is not there': ['start', '--cacert', 'missing.pem', URL],
  'a header file that is not there': ['start', '--header-file', 'missing.txt', URL],
  'a variable that is not set': ['start', '--bearer-env', 'NO_SUCH_VARIABLE', URL],
  'a name with a slash': ['start', '-o', 'a/b', URL],
  'the name ..': ['start', '-o', '..', URL],
  'a name with a control character': ['start', '-o', 'a\x07b', URL],
  'a name of 300 bytes': ['start', '-o', 'x'.repeat(300), URL],
  '#103 one name for two files': ['start', '-o', 'a', URL, `${URL}2`],
  '#103 one destination for two files': ['start', '--to', 'here.bin', URL, `${URL}2`],
  'an unknown command': ['frobnicate'],
  'a way out of a conflict that is none': ['claim', '--on-conflict', 'maybe'],
  'an id with a slash to attach to': ['attach', '--id', 'a/b'],
  'the id .. to look at': ['status', '--id', '..'],
  'a place in the journal that is none': ['attach', '--since', 'yesterday'],
  'a bad time-out': ['attach', '--timeout', 'soon'],
};

/** One line, exit 2, and nothing was made. */
export async function expectRefused(args: readonly string[]): Promise<void> {
  await using home = await makeHome();
  await writeFile(join(home.cwd, 'bad-lines.txt'), `${URL}\nnot a url\n`);
  await writeFile(join(home.cwd, 'bad-option.txt'), `${URL}\n  colour=red\n`);
  await writeFile(join(home.cwd, 'empty.txt'), '# nothing\n');
  await writeFile(join(home.cwd, 'nul.txt'), `X-A: ${SECRET}\0\n`);
  await writeFile(join(home.cwd, 'cr.txt'), `X-A: a\rX-B: ${SECRET}\n`);
  await writeFile(join(home.cwd, 'nul-header.txt'), `${URL}\n  header=X-A: ${SECRET}\0\n`);
  await writeFile(join(home.cwd, 'one-place.txt'), `${URL}\n  to=here.bin\n${URL}2\n  to=here.bin\n`);
  const plain = await home.run(args);
  expect(plain).toMatchObject({ code: 2, stdout: '' });
  expect(plain.stderr).toMatch(/^[^\n]+\n$/);
  expect(plain.stderr).not.toMatch(new RegExp(`${SECRET}|\\x1b|\\x07|\\bat .*\\.js:`));
  expect(await home.files()).toEqual([]);
}
