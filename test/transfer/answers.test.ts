import { expect, test } from 'vitest';
import { altered, content, inTurn, redirect, serve, sha256, startOrigin, status, type Behaviour, type ServeOptions } from '../support/origin.js';
import { makeRig } from './rig.js';

/** Answers to a request for the rest that are not what was asked for, case by case: what is asked next, and what becomes of the bytes. */

const SIZE = 600_000;
const CUT = 400_000;
const file = content('answers', SIZE);
const other = content('another version', SIZE);
/** Another version whose bytes are the same wherever an overlap looks. */
const early = Buffer.concat([other.subarray(0, 100_000), file.subarray(100_000)]);
const OLD = new Date(Date.now() - 3_600_000);
const digest = { algorithm: 'sha256', hex: sha256(file) } as const;
const cut = (options: ServeOptions): Behaviour => serve(file, { ...options, truncateAt: CUT });

test('#1 a server that ignores ranges is asked once more without If-Range; the file is then begun anew, and nothing appended', async () => {
  const options = { etag: '"1"', ranges: 'ignore' } as const;
  await using origin = await startOrigin(inTurn(cut(options), serve(file, options)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 2, provenance: { resumes: [] } });
  expect(origin.log.map(({ headers }) => [headers.has('range'), headers.has('if-range')])).toEqual([
    [true, false],
    [true, true],
    [true, false],
  ]);
  expect(rig.told.restarts).toEqual([{ reason: 'the server sends it only as a whole', bytesDropped: CUT }]);
});

test('#3 a part that starts too early is compared as far as it overlaps: other bytes there begin the file anew', async () => {
  const version = altered(file, CUT - 1);
  await using origin = await startOrigin(inTurn(cut({ etag: '"1"' }), serve(version, { etag: '"1"', ranges: { shift: -100_000 } }), serve(version, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(version) });
  expect(rig.told.restarts).toMatchObject([{ bytesDropped: CUT }]);
});

test.each<[string, ServeOptions]>([
  ['starts after what was asked', { ranges: { shift: 10 } }],
  ['has no Content-Range', { contentRange: () => null }],
  ['counts in another unit', { contentRange: (first, last, total) => `items ${first}-${last}/${total}` }],
  ['ends before it starts', { contentRange: (first, _last, total) => `bytes ${first}-${first - 1}/${total}` }],
])('#4 a part that %s: asked for once more, plainly, then the whole', async (_name, wrong) => {
  await using origin = await startOrigin(({ n, range }) => (n === 1 ? cut({ etag: '"1"' }) : serve(file, { etag: '"1"', ...(range === null ? {} : wrong) })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 2 });
  expect(origin.log.slice(1).map(({ headers }) => [headers.get('range'), headers.get('if-range')])).toEqual([
    [`bytes=${CUT - 65_536}-`, '"1"'],
    [`bytes=${CUT - 65_536}-`, undefined],
    [undefined, undefined],
  ]);
});

const star = (first: number, last: number): string => `bytes ${first}-${last}/*`;

test.each<[string, ServeOptions, Buffer]>([
  ['no validator', { contentRange: star }, file],
  ['other bytes before the join', { etag: '"1"', contentRange: star }, altered(file, CUT - 1000)],
  ['another ETag', { etag: '"2"', contentRange: star, ranges: 'despite-if-range' }, early],
])('#5 a total of * with %s is no continuation', async (_name, options, version) => {
  await using origin = await startOrigin(inTurn(cut({ etag: '"1"' }), serve(version, options), serve(version, { etag: '"2"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(version) });
  expect(rig.told.restarts).toMatchObject([{ bytesDropped: CUT }]);
});

test.each([1, 65_536, 300_000, SIZE - 1])('#6 an ETag that changes when %i bytes are here: the new version from its first byte, and the reason told', async (at) => {
  for (const ranges of ['honour', 'despite-if-range'] as const) {
    await using origin = await startOrigin(inTurn(serve(file, { etag: '"1"', truncateAt: at }), serve(early, { etag: '"2"', ranges })));
    await using rig = await makeRig({ url: origin.at('/file') });
    expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(early) });
    expect(rig.told.restarts).toEqual([{ reason: 'it changed at the server', bytesDropped: at }]);
  }
});

test('#7 a weak ETag beside an old date: other bytes before the join begin the file anew', async () => {
  const options = { etag: 'W/"1"', lastModified: OLD };
  const version = altered(file, CUT - 1000);
  await using origin = await startOrigin(inTurn(cut(options), serve(version, options)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(version) });
  expect(origin.log[1]?.headers.has('if-range')).toBe(false);
  expect(rig.told.restarts).toHaveLength(1);
});

/** The same file at three nodes, each with an ETag of its own, taken in turn; every connection is cut. */
const nodes = (truncateAt: number) => ({ n }: { n: number }): Behaviour => serve(file, { etag: `"node${n % 3}"`, truncateAt });

test('#8 three nodes with three ETags: with a digest nothing is fetched anew', async () => {
  await using origin = await startOrigin(nodes(250_000));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  const outcome = await rig.settle();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
  expect(outcome.kind === 'complete' && outcome.provenance.resumes.map(({ proof, overlapCompared }) => [proof, overlapCompared])).toContainEqual(['digest', 65_536]);
  expect(rig.told.restarts).toEqual([]);
});

test('#8 three nodes with three ETags and no digest: begun anew at most three times, whole if one of them lets it through', async () => {
  await using origin = await startOrigin(nodes(250_000));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'failed', error: { code: 'keeps-changing', exitCode: 33 } });
  expect(rig.told.restarts).toHaveLength(3);
  await using lucky = await makeRig({ url: origin.at('/file') });
  let requests = 0;
  origin.script = ({ n }) => serve(file, { etag: `"node${n % 3}"`, ...((requests += 1) < 4 ? { truncateAt: 250_000 } : {}) });
  expect(await lucky.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('#10 other bytes under the same ETag, where no overlap looks: the digest finds them, and a retry begins at zero', async () => {
  await using origin = await startOrigin(inTurn(serve(early, { etag: '"1"', truncateAt: CUT }), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.settle()).toMatchObject({ kind: 'failed', error: { code: 'checksum', exitCode: 32 } });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), provenance: { resumes: [] } });
});

test('#10 #11 pieces that only the digest joins, and a digest that is wrong: not fetched anew for ever', async () => {
  let requests = 0;
  await using origin = await startOrigin(() => serve(file, (requests += 1) % 2 === 1 ? { truncateAt: CUT } : {}));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: { algorithm: 'sha256', hex: sha256(other) } });
  expect(await rig.settle(40)).toMatchObject({ kind: 'failed', error: { code: 'checksum' } });
  expect(rig.told.restarts.length).toBeLessThanOrEqual(4);
});

test.each<[string, number | null]>([
  ['the first answer', null],
  ['the rest', CUT],
])('#14 a body without end stops at the announced total: %s', async (_name, truncateAt) => {
  const endless = serve(file, { etag: '"1"', extraBytes: Infinity });
  await using origin = await startOrigin(inTurn(...(truncateAt === null ? [] : [cut({ etag: '"1"' })]), endless));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.settle();
  expect(outcome).toMatchObject({ kind: 'complete', size: SIZE, sha256: sha256(file) });
  expect((await rig.bytesOf(outcome)).length).toBe(SIZE);
});

test.each<[string, readonly [string, string][]]>([
  ['a smaller size', [['Content-Range', `bytes */${CUT - 100_000}`], ['ETag', '"1"']]],
  ['a larger one', [['Content-Range', `bytes */${SIZE + 1}`], ['ETag', '"1"']]],
  ['no size', [['ETag', '"1"']]],
  ['our size, under another ETag', [['Content-Range', `bytes */${CUT}`], ['ETag', '"2"']]],
])('#16 416 with %s is no end: the file is begun anew', async (_name, headers) => {
  await using origin = await startOrigin(({ n, range }) => (n === 1 ? cut({ etag: '"1"' }) : range?.start ? status(416, { headers }) : serve(other, { etag: '"3"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(other) });
  expect(rig.told.restarts).toMatchObject([{ bytesDropped: CUT }]);
});

test.each([304, 412])('#17 %i to a request for the rest: the reason is told, a new generation begun; for good, it is a malformed answer', async (code) => {
  await using origin = await startOrigin(inTurn(cut({ etag: '"1"' }), status(code), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 2 });
  expect(rig.told.restarts).toEqual([{ reason: `the server answered ${code} to a range`, bytesDropped: CUT }]);
  await using stuck = await makeRig({ url: origin.at('/file') });
  origin.script = inTurn(cut({ etag: '"1"' }), status(code));
  await stuck.run();
  expect(await stuck.run()).toMatchObject({ kind: 'failed', error: { code: 'malformed-answer', exitCode: 22 } });
});

test('#20 407 with bytes here: someone must help, and the bytes stay', async () => {
  await using proxy = await startOrigin(inTurn(cut({ etag: '"1"' }), status(407)));
  await using rig = await makeRig({ url: 'http://example.invalid/file' }, { proxy: { http: proxy.url } });
  await rig.run();
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'needs', code: 'needs-auth' });
  expect(outcome.kind === 'needs' && outcome.error.message).toContain(`${CUT} bytes are kept`);
  proxy.script = () => serve(file, { etag: '"1"' });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
});

test('#22 a chain of more than 20 different places is refused, and so is what no browser would follow: both ends are named', async () => {
  await using origin = await startOrigin(({ n }) => redirect(`/hop${n}`));
  await using rig = await makeRig({ url: origin.at('/start') });
  const endless = await rig.run();
  expect(endless).toMatchObject({ kind: 'failed', error: { code: 'redirect', exitCode: 23 } });
  expect(endless.kind === 'failed' && endless.error.message).toMatch(/\/start -> .*\/hop1 -> .*… .*\/hop20 -> .*\/hop21/);
  expect(origin.log).toHaveLength(21);
  for (const target of ['file:///etc/passwd', 'data:text/plain,hello']) {
    origin.script = ({ path }) => redirect(path === '/start' ? '/middle' : target);
    const refused = await rig.run();
    expect(refused.kind === 'failed' && refused.error.message).toMatch(new RegExp(`to ${target.slice(0, 5)}.* is refused: .*/start -> .*/middle`));
  }
});

test('#26 silence at 99 %: what is fetched after the reconnect is the rest and the overlap', async () => {
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"1"', stallAt: 594_000 }), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file'), stallTimeoutMs: 300 });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log[1]?.range?.start).toBe(594_000 - 65_536);
  expect(rig.told.restarts).toEqual([]);
});

test('#28 #29 what is no answer to the rest keeps what is here: tried again, and whole in the end', async () => {
  const bad = ['hello, this is a file\n', 'HTTP/1.1 206 OK\nContent-Length: 5\n\nhello', 'HTTP/1.1 206 P\r\nX: a\r\n b: c\0\r\n\r\n'];
  const answers = bad.map((text): Behaviour => async (exchange) => {
    await exchange.write(Buffer.from(text, 'latin1'));
    await exchange.close('fin');
  });
  for (const answer of answers) {
    await using origin = await startOrigin(inTurn(cut({ etag: '"1"' }), answer, serve(file, { etag: '"1"' })));
    await using rig = await makeRig({ url: origin.at('/file') });
    await rig.run();
    expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'malformed-answer', message: expect.stringContaining(`${CUT} bytes are kept`) as unknown } });
    expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), partGeneration: 1 });
  }
});
