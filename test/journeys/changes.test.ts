import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { altered, content, inTurn, serve, sha256, startOrigin, status, type ServeOptions } from '../support/origin.js';
import { kill, makeHome } from '../support/poste.js';
import { until } from '../support/wait.js';

const SIZE = 2_000_000;
const CUT = 1_200_000;
const KIB = 1024;

const first = content('first', SIZE);
const anHourAgo = new Date(Date.now() - 3_600_000);
const aMinuteLater = new Date(anHourAgo.getTime() + 60_000);

/** What the second version shares with the first; a splice shows in each of them in another place. */
const second = {
  'another file of the same size': content('second', SIZE),
  'a longer file': content('second', SIZE + 100_000),
  'a shorter file': content('second', SIZE - 100_000),
  'a file that differs in its first bytes alone': Buffer.concat([content('second', 1000), first.subarray(1000)]),
  'a file that differs from the cut on': altered(first, CUT),
};

const versions = Object.entries(second);

const servers: Record<string, { before: ServeOptions; after: ServeOptions }> = {
  '#6 a strong ETag': { before: { etag: '"1"' }, after: { etag: '"2"' } },
  '#7 a weak ETag': { before: { etag: 'W/"1"' }, after: { etag: 'W/"2"' } },
  'Last-Modified alone': { before: { lastModified: anHourAgo }, after: { lastModified: aMinuteLater } },
  '#11 no validator at all': { before: {}, after: {} },
  '#1 #6 a strong ETag, ranges ignored': { before: { etag: '"1"', ranges: 'ignore' }, after: { etag: '"2"', ranges: 'ignore' } },
  '#1 #11 no validator, ranges ignored': { before: { ranges: 'ignore' }, after: { ranges: 'ignore' } },
  '#2 a CDN that answers 200 to any If-Range': {
    before: { etag: '"1"', ranges: 'not-with-if-range' },
    after: { etag: '"2"', ranges: 'not-with-if-range' },
  },
};

for (const [server, { before, after }] of Object.entries(servers)) {
  test(`${server}: a file that changes between two tries is wholly new in the end`, async () => {
    const cut = serve(first, { ...before, truncateAt: CUT, endWith: 'rst' });
    const scripts = versions.map(([, version]) => inTurn(cut, serve(version, after)));
    await using home = await makeHome();
    await using origin = await startOrigin((request) => scripts[Number(request.path.slice(1))]?.(request) ?? status(404));
    const urls = versions.map((_, n) => origin.at(`/${n}`));
    const result = await home.run(['start', '--wait', '--jobs', '5', '--to', './', ...urls]);
    expect({ code: result.code, stderr: result.code === 0 ? '' : result.stderr }).toEqual({ code: 0, stderr: '' });
    for (const [n, [change, version]] of versions.entries()) {
      expect({ change, sha256: sha256(await readFile(join(home.cwd, String(n)))) }).toEqual({ change, sha256: sha256(version) });
    }
  });
}

test('#2 a file that does not change is not fetched again: a strong ETag, an old Last-Modified, a CDN that minds If-Range', async () => {
  const kept: readonly ServeOptions[] = [{ etag: '"1"' }, { lastModified: anHourAgo }, { etag: '"1"', ranges: 'not-with-if-range' }];
  for (const options of kept) {
    await using home = await makeHome();
    // Slow enough that what is sent is what is taken, not what fits in the system's buffers.
    const rest = serve(first, { ...options, bytesPerSecond: 2_000_000 });
    await using origin = await startOrigin(inTurn(serve(first, { ...options, truncateAt: CUT }), rest));
    expect((await home.run(['start', '--wait', '--to', 'claimed.bin', origin.at('/file.bin')])).code).toBe(0);
    expect(sha256(await readFile(`${home.cwd}/claimed.bin`))).toBe(sha256(first));
    // A CDN's 200 has to be begun before it is seen to be one.
    expect(origin.refetched(SIZE)).toBeLessThanOrEqual(options.ranges === undefined ? 64 * KIB : 1024 * KIB);
  }
});

test('#10 bytes that changed under an unchanged ETag are found by the overlap: an error or the new file, never a mix', async () => {
  const version = altered(first, CUT - 1000);
  await using home = await makeHome();
  await using origin = await startOrigin(inTurn(serve(first, { etag: '"1"', truncateAt: CUT }), serve(version, { etag: '"1"' })));
  expect((await home.run(['start', '--wait', '--to', 'claimed.bin', origin.at('/file.bin')])).code).toBe(0);
  expect(sha256(await readFile(`${home.cwd}/claimed.bin`))).toBe(sha256(version));
});

test('#6 a file that changes while its worker is dead is wholly new in the end', async () => {
  const version = second['a file that differs in its first bytes alone'];
  await using home = await makeHome();
  await using origin = await startOrigin(() => serve(first, { etag: '"1"', stallAt: CUT }));
  await home.run(['start', origin.at('/file.bin')]);
  const pid = await until('bytes on disk', async () => {
    const { worker, tasks } = await home.status();
    return (tasks[0]?.bytesReceived ?? 0) > CUT / 2 && worker?.pid;
  });
  kill(pid);
  origin.script = () => serve(version, { etag: '"2"' });
  expect((await home.run(['attach'])).code).toBe(0);
  await home.run(['claim']);
  expect(sha256(await readFile(`${home.cwd}/file.bin`))).toBe(sha256(version));
  const restarted = (await home.journal()).filter(({ type }) => type === 'task.restarted');
  expect(restarted).toMatchObject([{ task: 1, reason: expect.stringMatching(/\S/) as unknown }]);
});
