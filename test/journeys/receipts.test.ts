import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seal } from '../../src/store/sealed.js';
import { content, serve, sha256, startOrigin, type ServeOptions } from '../support/origin.js';
import { makeHome, type ClaimAnswer, type ErrorAnswer } from '../support/poste.js';

const file = content('receipts', 300_000);
const CUT = 200_000;
const OLD = new Date(Date.now() - 86_400_000);

test('a receipt tells how each byte came and what vouches for it; verify compares the file with it', { timeout: 120_000 }, async () => {
  await using home = await makeHome();
  const how: Readonly<Record<string, ServeOptions>> = {
    '/etag': { etag: '"1"' },
    '/date': { lastModified: OLD },
    '/digest': {},
    '/unknown': { etag: '"1"', contentLength: 'none', ranges: 'ignore', gzip: true },
  };
  const asked = new Map<string, number>();
  await using origin = await startOrigin(({ path }) => {
    const name = path.split('?')[0] ?? '';
    asked.set(name, (asked.get(name) ?? 0) + 1);
    return serve(file, { ...how[name], ...(name !== '/unknown' && asked.get(name) === 1 ? { truncateAt: CUT } : {}) });
  });
  const sums = join(home.cwd, 'SHA256SUMS');
  await writeFile(sums, `${sha256(file)}  digest\n`);
  const env = { POSTE_BACKOFF: '0.02' };
  const urls = ['/etag', '/date', '/unknown'].map((path) => `${origin.at(path)}?token=hunter2`);
  await home.run(['start', '-H', 'X-Key: hunter2', ...urls], { env });
  expect((await home.run(['start', '--checksum-file', sums, origin.at('/other')])).code).toBe(2);
  await home.run(['start', '--checksum-file', sums, `${origin.at('/digest')}?token=hunter2`], { env });
  const { claimed } = (await home.run(['claim', '--wait', '--json'], { timeoutMs: 60_000 })).json<ClaimAnswer>();
  const receipts = new Map(await Promise.all(claimed.map(async ({ name, receipt }) => [name, JSON.parse(await readFile(receipt, 'utf8')) as unknown] as const)));
  expect(JSON.stringify([...receipts])).not.toContain('hunter2');
  const host = `127.0.0.1:${origin.port}`;
  const resumed = (proof: string): object => ({
    finalHost: host,
    redirects: [],
    size: file.length,
    sha256: sha256(file),
    length: 'verified',
    attempts: 2,
    tls: 'none',
    contentEncoding: null,
    resumes: [{ offset: CUT, proof, overlapCompared: 65_536, host }],
  });
  expect(receipts.get('etag')).toMatchObject({ ...resumed('etag'), etag: '"1"', checksum: null, claimedTo: join(home.cwd, 'etag') });
  expect(receipts.get('date')).toMatchObject({ ...resumed('last-modified'), lastModified: OLD.toUTCString() });
  expect(receipts.get('digest')).toMatchObject({ ...resumed('digest'), etag: null, checksum: { algorithm: 'sha256', hex: sha256(file), matched: true } });
  expect(receipts.get('unknown')).toMatchObject({ length: 'unverified', contentEncoding: 'gzip', resumes: [], url: `${origin.at('/unknown')}?token=***` });

  const { path = '', receipt = '' } = claimed.find(({ name }) => name === 'etag') ?? {};
  expect(await home.run(['verify', receipt])).toMatchObject({ code: 0, stdout: `${path}: ok\n` });
  await writeFile(path, Buffer.concat([file.subarray(1), Buffer.from('x')]));
  const other = await home.run(['verify', '--json', receipt]);
  expect(other).toMatchObject({ code: 32 });
  expect(other.json()).toMatchObject({ schema: 1, receipt, path, ok: false, size: file.length, expected: { sha256: sha256(file) }, error: { code: 'checksum' } });
  await rm(path);
  expect((await home.run(['verify', '--json', receipt])).json<ErrorAnswer>().error).toMatchObject({ code: 'no-file', exitCode: 41 });
  await writeFile(join(home.cwd, 'moved'), file);
  expect((await home.run(['verify', '--json', receipt, 'moved'])).json()).toMatchObject({ ok: true, path: join(home.cwd, 'moved'), size: file.length });
  await writeFile(join(home.cwd, 'damaged.json'), (await readFile(receipt, 'utf8')).replace(sha256(file), sha256(file).slice(1)));
  expect((await home.run(['verify', 'damaged.json'])).code).toBe(45);
  expect((await home.run(['verify', 'absent.json'])).code).toBe(2);
});

test('#64 receipts that the power took are made again; verify does without them meanwhile', { timeout: 120_000 }, async () => {
  await using origin = await startOrigin(() => serve(content('power', 20_000), { etag: '"1"' }));
  await using home = await makeHome();
  const { claimed } = (await home.run(['start', '--wait', '--json', '--to', './', origin.at('/a'), origin.at('/b'), origin.at('/d')])).json<ClaimAnswer>();
  const [a = { path: '', receipt: '' }, b = a, d = a] = claimed;
  const before = JSON.parse(await readFile(a.receipt, 'utf8')) as Record<string, unknown>;
  await rm(a.receipt);
  await writeFile(b.receipt, '');
  // What it was before the claim.
  await writeFile(d.receipt, JSON.stringify({ ...(JSON.parse(await readFile(d.receipt, 'utf8')) as object), claimedTo: null, claimedAt: null }));
  for (const { path, receipt } of [a, b, d]) expect(await home.run(['verify', receipt])).toMatchObject({ code: 0, stdout: `${path}: ok\n` });
  // Every owner so far is of another boot from here on.
  const generations = join(home.dir, 'sessions', 'default', 'gen');
  for (const name of await readdir(generations)) {
    const { crc: _crc, identity, ...owner } = JSON.parse(await readFile(join(generations, name), 'utf8')) as { crc: string; identity: object };
    if (!name.endsWith('.released')) await writeFile(join(generations, name), seal({ ...owner, identity: { ...identity, bootId: 'before' } }));
  }
  expect((await home.run(['start', '--wait', origin.at('/c')])).code).toBe(0);
  expect(JSON.parse(await readFile(a.receipt, 'utf8'))).toEqual({ ...before, finishedAt: expect.any(String) as string, claimedAt: expect.any(String) as string });
  expect(JSON.parse(await readFile(b.receipt, 'utf8'))).toMatchObject({ task: 2, etag: '"1"', claimedTo: b.path });
  expect(JSON.parse(await readFile(d.receipt, 'utf8'))).toMatchObject({ task: 3, claimedTo: d.path });
});
