import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { redirect, routes, serve, startOrigin, status } from '../support/origin.js';
import { expectOutcome, file, good, OUTCOMES } from '../support/outcomes.js';
import { makeHome } from '../support/poste.js';

/** One of each kind; all of them are in `test/long/exit-codes.test.ts`. */
const SOME = ['a good file', '404', '403', '#28 an answer that is no HTTP', '#19 500, retries used up', 'a connection that is reset', '#26 no answer', 'another checksum'];

test.each(Object.entries(OUTCOMES).filter(([what]) => SOME.includes(what)))('%s: the exit code tells', async (_what, outcome) => {
  await expectOutcome(outcome);
});

test('attach and status --exit-code mirror the outcome; claim speaks of claiming only', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(routes({ '/good': good }));
  expect((await home.run(['start', '--wait', origin.at('/404')])).code).toBe(3);
  expect((await home.run(['claim', '--json'])).code).toBe(41);
  // `start --wait` speaks of what it was asked for.
  expect(await home.run(['start', '--wait', '-q', origin.at('/good')])).toMatchObject({ code: 0, stderr: '' });
  const again = await home.run(['start', '--wait', '-q', origin.at('/404')]);
  expect(again).toMatchObject({ code: 3, stdout: '' });
  expect(again.stderr).toMatch(/^poste: [^\n]*404[^\n]*\n$/);
  expect((await home.run(['attach'])).code).toBe(3);
  expect((await home.run(['status', '--id', 'default', '--exit-code'])).code).toBe(3);
  expect((await home.run(['status', '--id', 'default'])).code).toBe(0);
  expect((await home.run(['claim'])).code).toBe(0);
});

test('#31 exit 34: certificates that prove nothing; --insecure and --cacert are the ways', async () => {
  await using certificates = await makeCertificates();
  await using home = await makeHome();
  for (const name of ['selfSigned', 'expired', 'otherHost', 'good'] as const) {
    await using origin = await startOrigin(() => good, { tls: certificates[name] });
    const start = (id: string, ...flags: string[]): Promise<number | null> =>
      home.run(['start', '--wait', '--id', `${name}-${id}`, ...flags, origin.at('/file')]).then(({ code }) => code);
    expect({ name, code: await start('plain') }).toEqual({ name, code: 34 });
    expect({ name, code: await start('ca', '--cacert', certificates.caFile) }).toEqual({ name, code: name === 'good' ? 0 : 34 });
    expect({ name, code: await start('insecure', '--insecure') }).toEqual({ name, code: 0 });
  }
});

test('#22 exit 23: from https to http is refused', async () => {
  await using certificates = await makeCertificates();
  await using home = await makeHome();
  await using plain = await startOrigin(() => good);
  await using secure = await startOrigin(() => redirect(plain.at('/file')), { tls: certificates.good });
  expect((await home.run(['start', '--wait', '--cacert', certificates.caFile, secure.at('/file')])).code).toBe(23);
  expect(plain.log).toEqual([]);
});

test('#32 exit 6: nobody listens; exit 19: no such name', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => good);
  await origin.down();
  expect((await home.run(['start', '--wait', '--retries', '1', origin.at('/file')])).code).toBe(6);
  expect((await home.run(['start', '--wait', '--id', 'dns', '--retries', '0', 'http://no-such-host.invalid/file'])).code).toBe(19);
});

test('exit 46: several tasks failed in different ways; in the same way, that way’s code', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(routes({ '/401': status(401), '/good': good }));
  expect((await home.run(['start', '--wait', origin.at('/404'), origin.at('/401'), origin.at('/good')])).code).toBe(46);
  expect((await home.run(['start', '--wait', '--id', 'same', origin.at('/404'), origin.at('/404b'), origin.at('/good')])).code).toBe(3);
});

test('exit 44: cancelled; exit 7: not finished; exit 124: --timeout passed, and the worker lives on', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', stallAt: 10_000 }));
  await home.run(['start', origin.at('/file')]);
  expect((await home.run(['status', '--id', 'default', '--exit-code'])).code).toBe(7);
  expect((await home.run(['attach', '--timeout', '1s'])).code).toBe(124);
  expect((await home.run(['claim', '--wait', '--timeout', '1s'])).code).toBe(124);
  expect(await home.workerPid()).not.toBe(null);
  expect((await home.run(['claim'])).code).toBe(41);
  await home.run(['cancel']);
  expect((await home.run(['attach'])).code).toBe(44);
});

test('exit 40: no such session, for every command that needs one; exit 41: no such task', async () => {
  await using home = await makeHome();
  for (const command of ['attach', 'status', 'claim', 'pause', 'resume', 'cancel', 'retry', 'events', 'forget']) {
    const result = await home.run([command, '--id', 'nobody']);
    expect({ command, code: result.code, lines: result.stderr.trim().split('\n').length }).toEqual({ command, code: 40, lines: 1 });
    expect({ command, code: (await home.run([command, '--id', 'nobody', '--json'])).code }).toEqual({ command, code: 40 });
  }
  expect(await home.files()).toEqual([]);
  expect((await home.run(['status'])).code).toBe(0);
  await home.run(['start', '--paused', 'http://127.0.0.1:9/file']);
  for (const command of ['status', 'claim', 'pause', 'cancel']) {
    expect({ command, code: (await home.run([command, '7'])).code }).toEqual({ command, code: 41 });
  }
});

test('#49 exit 45: a session that a newer poste wrote, or that is damaged beyond reading, is left as it is', async () => {
  await using home = await makeHome();
  await home.run(['start', '--paused', 'http://127.0.0.1:9/file']);
  await home.workerGone();
  const journal = join(home.sessionDir(), 'journal.ndjson');
  const newer = (await home.journal()).map(({ crc: _, ...event }) => sealed({ ...event, v: 99 }));
  for (const text of [`${newer.join('\n')}\n`, 'rubbish\n'.repeat(5)]) {
    await writeFile(journal, text);
    for (const args of [['attach'], ['pause'], ['start', '--paused', 'http://127.0.0.1:9/other']]) {
      expect({ text, args, code: (await home.run(args)).code }).toEqual({ text, args, code: 45 });
    }
    expect((await home.run(['status'])).code).toBe(0);
    expect(await readFile(journal, 'utf8')).toBe(text);
  }
});

/** A line of the journal as the format has it: its last member is the CRC-32 of what it would be without it. */
function sealed(event: object): string {
  const text = JSON.stringify(event);
  return `${text.slice(0, -1)},"crc":"${crc32(text).toString(16).padStart(8, '0')}"}`;
}
