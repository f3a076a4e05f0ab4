import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { content, serve, startOrigin } from '../support/origin.js';
import { makeHome } from '../support/poste.js';

const file = content('messages', 1000);

test('what is asked for wrongly is said in a line that helps, and nothing is made', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }));
  await home.run(['start', '--wait', '--id', 'backup', origin.at('/a.bin'), origin.at('/b.bin')]);
  const said = async (args: readonly string[], env: Record<string, string> = {}): Promise<[number | null, string]> => {
    const { code, stderr } = await home.run(args, { env });
    return [code, stderr.trim()];
  };
  expect(await said(['status', 'backup'])).toEqual([40, 'poste: there is no session default, and so no task backup in it; --id backup is the session of that name']);
  // A name that is no task's is none of a session either.
  expect(await said(['verify', 'backup'])).toEqual([expect.any(Number), expect.not.stringContaining('session')]);
  expect(await said(['restore', '--id', 'nosuch'])).toEqual([40, expect.stringContaining('there is no session nosuch')]);
  expect(await said(['claim', '--id', 'backup', '--to', ''])).toEqual([2, expect.stringContaining('--to: an empty name is no place')]);
  expect(await said(['claim', '--id', 'backup', '--to', 'one-file'])).toEqual([2, expect.stringContaining('--to names one file, and 2 are to be claimed')]);
  expect(await said(['set', '--id', 'backup', '--limit-rate', '100K'])).toEqual([0, 'changed: session backup']);
  expect(await said(['start', '--not-before', '25:00', origin.at('/c.bin')])).toEqual([2, expect.stringMatching(/--not-before: .*25:00.* is not a time/)]);
  expect(await said(['set', '--id', 'backup', '--by', 'soon', '1'])).toEqual([2, expect.stringMatching(/--by: .*soon.* is not a time/)]);
  expect(await said(['start', '--retain', 'ever', origin.at('/c.bin')])).toEqual([2, expect.stringMatching(/--retain: .*ever.* is not a duration/)]);
  // Node's own way of making folders goes round for ever there.
  expect(await said(['start', origin.at('/c.bin')], { POSTE_HOME: '/proc/poste' })).toEqual([17, expect.stringContaining('/proc/poste')]);
  expect(await said(['start', '--temp-dir', '/proc/poste', origin.at('/c.bin')])).toEqual([14, expect.stringContaining('--temp-dir cannot be used')]);
  await mkdir(join(home.cwd, 'folder'));
  expect((await home.run(['claim', '--id', 'backup', '--to', 'folder'])).code).toBe(0);
});

test('output that cannot be written ends a command with a word', async () => {
  await using home = await makeHome();
  const { code, stderr } = await home.sh('poste status > /dev/full');
  expect([code, stderr.trim()]).toEqual([17, 'poste: the output could not be written (ENOSPC); what was done stands']);
});
