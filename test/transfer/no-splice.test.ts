import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { altered, content, inTurn, loginPage, serve, sha256, startOrigin, status, type Behaviour, type ServeOptions } from '../support/origin.js';
import { makeRig } from './rig.js';

const SIZE = 1_500_000;
const CUT = 1_000_000;
const file = content('one', SIZE);
const newer = content('two', SIZE);
/** Differs only where no overlap looks: nothing but the validators can tell. */
const early = Buffer.concat([newer.subarray(0, 100_000), file.subarray(100_000)]);
const longer = Buffer.concat([file, newer.subarray(0, 1000)]);
const OLD = new Date(Date.now() - 3_600_000);
const LATER = new Date(Date.now() - 1_800_000);
const digest = { algorithm: 'sha256', hex: sha256(file) } as const;

test.each<[string, Buffer, ServeOptions, Buffer, ServeOptions]>([
  ['#6 its strong ETag', file, { etag: '"1"' }, early, { etag: '"2"' }],
  ['#1 #6 its strong ETag, behind a server that ignores ranges', file, { etag: '"1"', ranges: 'ignore' }, early, { etag: '"2"', ranges: 'ignore' }],
  ['#6 its strong ETag, behind one that ignores If-Range', file, { etag: '"1"' }, early, { etag: '"2"', ranges: 'despite-if-range' }],
  ['its date, which is all there is', file, { lastModified: OLD }, early, { lastModified: LATER }],
  ['#5 its size', file, { etag: '"1"' }, longer, { etag: '"1"' }],
  ['#10 its bytes, under the same ETag', file, { etag: '"1"' }, newer, { etag: '"1"' }],
  ['#10 its bytes, under the same date', file, { lastModified: OLD }, newer, { lastModified: OLD }],
  ['#11 anything, where nothing would tell', file, {}, early, {}],
  ['#7 its bytes, under a weak ETag', file, { etag: 'W/"1"' }, early, { etag: 'W/"1"' }],
  ['#12 its bytes, under two ETags at once', file, { etag: ['"1"', '"2"'] }, early, { etag: ['"1"', '"2"'] }],
  ['#9 its bytes within the minute of its date', file, { lastModified: new Date() }, early, { lastModified: new Date() }],
  ['#6 its ETag to none', file, { etag: '"1"' }, early, {}],
])('a file that changes %s is fetched anew, never mixed', async (_name, before, beforeOptions, after, afterOptions) => {
  await using origin = await startOrigin(inTurn(serve(before, { ...beforeOptions, truncateAt: CUT }), serve(after, afterOptions)));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.settle();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(after) });
  expect(rig.told.restarts).toEqual([{ reason: expect.any(String) as unknown, bytesDropped: CUT }]);
});

test.each<[string, ServeOptions, 'etag' | 'last-modified' | 'digest']>([
  ['an ETag', { etag: '"1"' }, 'etag'],
  ['a date alone', { lastModified: OLD }, 'last-modified'],
  ['#7 a date beside a weak ETag', { etag: 'W/"1"', lastModified: OLD }, 'last-modified'],
  ['#2 a CDN that answers 200 to any If-Range', { etag: '"1"', ranges: 'not-with-if-range' }, 'etag'],
  ['#3 a range that starts too early', { etag: '"1"', ranges: { shift: -70_000 } }, 'etag'],
  ['#5 an unknown total, with *', { etag: '"1"', contentRange: (first, last) => `bytes ${first}-${last}/*` }, 'etag'],
  ['#11 nothing but a digest', {}, 'digest'],
])('%s: the rest is appended', async (_name, options, proof) => {
  await using origin = await startOrigin(inTurn(serve(file, { ...options, truncateAt: CUT }), serve(file, options)));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: proof === 'digest' ? digest : null });
  const outcome = await rig.settle();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(outcome.kind === 'complete' && outcome.provenance.resumes[0]).toMatchObject({ offset: CUT, proof });
  expect(rig.told.restarts).toEqual([]);
});

test.each<[string, ServeOptions]>([
  ['#4 starts after what was asked', { etag: '"1"', ranges: { shift: 10 } }],
  ['#4 has no Content-Range', { etag: '"1"', contentRange: () => null }],
  ['#4 counts in another unit', { etag: '"1"', contentRange: (first, last, total) => `items ${first}-${last}/${total}` }],
  ['#4 ends before it starts', { etag: '"1"', contentRange: (first, _last, total) => `bytes ${first}-${first - 1}/${total}` }],
  ['says another length than it has', { etag: '"1"', contentRange: (first, _last, total) => `bytes ${first}-${first + 1}/${total}` }],
  ['#30 is gzipped', { etag: '"1"', gzip: true }],
])('a part that %s is refused, and the file fetched anew', async (_name, options) => {
  const first = serve(file, { etag: '"1"', truncateAt: CUT });
  let requests = 0;
  await using origin = await startOrigin(({ range }) => {
    requests += 1;
    return requests === 1 ? first : serve(file, range === null ? { etag: '"1"' } : options);
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.restarts).toHaveLength(1);
});

test.each([304, 412])('#17 %i to a range: fetched anew', async (code) => {
  await using origin = await startOrigin(
    inTurn(serve(file, { etag: '"1"', truncateAt: CUT }), status(code), serve(file, { etag: '"1"' })),
  );
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('#8 the same size under an ETag of another node: the overlap and the digest save the bytes', async () => {
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"a"', truncateAt: CUT }), serve(file, { etag: '"b"' }), serve(file, { etag: '"b"' , ranges: 'honour' })));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  const outcome = await rig.settle();
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file), provenance: { resumes: [{ proof: 'digest' }] } });
});

test('pieces that were joined by the digest alone and do not add up are fetched anew', async () => {
  const other = altered(file, SIZE - 100_000);
  await using origin = await startOrigin(inTurn(serve(file, { truncateAt: CUT }), serve(other), serve(file)));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('a server that says once that the file is empty, against its digest: the next attempt asks again', async () => {
  await using origin = await startOrigin(({ n }) => serve(n === 1 ? Buffer.alloc(0) : file, { etag: `"${n}"` }));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'checksum' } });
  expect((await rig.bytesOf(await rig.run())).equals(file)).toBe(true);
});

test('a wrong digest: nothing is delivered, and a retry starts from zero', async () => {
  await using origin = await startOrigin(() => serve(newer, { etag: '"1"' }));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'checksum', exitCode: 32 } });
  origin.script = () => serve(file, { etag: '"1"' });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('#6 a file that changes all the time is given up after three restarts', async () => {
  let version = 0;
  await using origin = await startOrigin(() => {
    version += 1;
    return serve(content(`v${version}`, SIZE), { etag: `"${version}"`, truncateAt: CUT });
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'failed', error: { code: 'keeps-changing', exitCode: 33 } });
  expect(rig.told.restarts).toHaveLength(3);
});

test('#11 a server that proves nothing may break off as often as it likes', async () => {
  await using origin = await startOrigin(
    inTurn(...Array.from({ length: 6 }, () => serve(file, { truncateAt: CUT })), serve(file)),
  );
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.representations[0]).toMatchObject({ resumable: false, evidence: 'none' });
});

test('#25 a log-in page keeps the part and waits', async () => {
  await using origin = await startOrigin(
    inTurn(serve(file, { etag: '"1"', contentType: 'application/x-tar', truncateAt: CUT }), loginPage(), serve(file, { etag: '"1"' })),
  );
  await using rig = await makeRig({ url: origin.at('/file') });
  await rig.run();
  expect(await rig.run()).toMatchObject({ kind: 'retry', waitFor: 'portal', progressed: false });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(rig.told.restarts).toEqual([]);
});

test('#16 416 that names our size is the end, only if the version agrees', async () => {
  const half = content('half', CUT);
  for (const [etag, ends] of [['"1"', true], ['"2"', false]] as const) {
    const answers = [
      serve(half, { etag: '"1"', contentLength: 'none', chunked: true, ranges: 'ignore', truncateAt: CUT - 1 }),
      serve(half, { etag: '"1"', contentRange: (first, last) => `bytes ${first}-${last}/*`, truncateAt: 65536 + 1 }),
      status(416, { headers: [['Content-Range', `bytes */${CUT}`], ['ETag', etag]] }),
      serve(half, { etag: '"2"' }),
    ];
    await using origin = await startOrigin(inTurn(...answers));
    await using rig = await makeRig({ url: origin.at('/file') });
    expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(half) });
    expect(rig.told.restarts.length === 0).toBe(ends);
  }
});

test('#13 a range tells where a body ended that ended with its connection: asked once, not for ever', async () => {
  await using origin = await startOrigin(({ n }) => serve(file, { etag: '"1"', contentLength: 'none', ranges: n === 1 ? 'ignore' : 'honour' }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
  expect(origin.log).toHaveLength(2);
});

test.each<[string, Behaviour, object]>([
  ['a log-in page', loginPage(), { kind: 'retry', waitFor: 'portal' }],
  ['403', status(403), { kind: 'needs', code: 'needs-auth' }],
  ['404', status(404), { kind: 'needs', code: 'needs-url' }],
  ['a file that is shorter than what is here', serve(file.subarray(0, CUT - 1)), { kind: 'complete', sha256: sha256(file.subarray(0, CUT - 1)) }],
])('#13 %s in answer to whether a body that ended with its connection was whole does not make it whole', async (_name, answer, outcome) => {
  const cut = serve(file, { contentLength: 'none', ranges: 'ignore', truncateAt: CUT });
  await using origin = await startOrigin(inTurn(cut, answer));
  await using rig = await makeRig({ url: origin.at('/file.bin') });
  expect(await rig.run()).toMatchObject(outcome);
  origin.script = () => serve(file);
  if (!('sha256' in outcome)) expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('#5 #13 a body that ended with its connection was cut when the server has bytes beyond it, even if it does not say how many', async () => {
  const cut = serve(file, { contentLength: 'none', ranges: 'ignore', truncateAt: CUT });
  const rest = serve(file, { contentRange: (first, last) => `bytes ${first}-${last}/*` });
  await using origin = await startOrigin(inTurn(cut, rest, serve(file)));
  await using rig = await makeRig({ url: origin.at('/file.bin') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test('#10 bytes that were compared before the file changed under its ETag are compared again', async () => {
  const other = altered(file, 0);
  const good = { etag: '"1"' };
  await using origin = await startOrigin(inTurn(serve(file, { ...good, truncateAt: CUT }), serve(file, { ...good, truncateAt: 64 * 1024 }), serve(other, good)));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(other) });
});

test('#5 #13 a length that was a lie ends in a fetch of the whole, not in asking for ever', async () => {
  const truth = serve(file, { etag: '"1"', contentRange: (first, last) => `bytes ${first}-${last}/*` });
  const lie = serve(file, { etag: '"1"', ranges: 'ignore', contentLength: SIZE + 1000, truncateAt: SIZE - 1 });
  await using origin = await startOrigin(inTurn(lie, truth));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle(3)).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log.length).toBeLessThan(8);
});

test('#4 a server that always sends the same first part is not asked for ever; the part is kept for a better day', async () => {
  await using origin = await startOrigin(() => async (exchange) => {
    await exchange.head(206, [['ETag', '"1"'], ['Content-Range', `bytes 0-${CUT - 1}/${SIZE}`], ['Content-Length', String(CUT)]]);
    await exchange.body(file.subarray(0, CUT));
  });
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'failed', error: { code: 'malformed-answer' } });
  expect(origin.log.length).toBeLessThan(10);
  origin.script = () => serve(file, { etag: '"1"' });
  expect(await rig.run()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log.at(-1)?.range?.start).toBeGreaterThan(0);
});

test('#13 a whole answer without a length does not tell that one before it was whole: of a server that refused to tell its end, it is fetched anew', async () => {
  const cut = (at: number): Behaviour => serve(file, { etag: '"1"', contentLength: 'none', ranges: 'ignore', truncateAt: at });
  await using origin = await startOrigin(inTurn(cut(CUT), status(304), cut(1000), serve(file, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
});

test.each([512, 1024, 16_384, 65_536])('#5 a server that sends %i bytes at a time, no more than is compared: whole after a kill, whether it says how long the file is or not', async (pieceBytes) => {
  const body = file.subarray(0, pieceBytes < 10_000 ? 9_000 : 500_000);
  for (const contentRange of [undefined, (first: number, last: number) => `bytes ${first}-${last}/*`]) {
    const options = { etag: '"1"', pieceBytes, ...(contentRange === undefined ? {} : { contentRange }) };
    const piece = serve(body, options);
    await using origin = await startOrigin(inTurn(piece, piece, serve(body, { ...options, truncateAt: pieceBytes - 300 }), piece));
    await using rig = await makeRig({ url: origin.at('/file') });
    expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(body) });
    expect(rig.told.restarts).toEqual([]);
  }
});

test('#16 416 to a file of no bytes, with a text to say so: the file is empty', async () => {
  await using origin = await startOrigin(() => status(416, { headers: [['Content-Range', 'bytes */0']] }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.run()).toMatchObject({ kind: 'complete', size: 0 });
});

test('#30 #13 gzip that nobody asked for and that ends with its connection, of a server whose ranges are not encoded: taken as far as it went, and said', async () => {
  const text = Buffer.from('the same line again and again\n'.repeat(50_000));
  await using origin = await startOrigin(({ n }) => serve(text, n === 1 ? { lastModified: OLD, gzip: true, ranges: 'ignore', contentLength: 'none' } : { lastModified: OLD }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', length: 'unverified', provenance: { contentEncoding: 'gzip' } });
  expect(gunzipSync(await rig.bytesOf(outcome)).equals(text)).toBe(true);
});

test('a file with a digest that changes while an attempt fetches it piece by piece: fetched anew, not given up', async () => {
  const piece = (body: Buffer, etag: string): Behaviour => serve(body, { etag, pieceBytes: 600_000, ranges: 'despite-if-range' });
  await using origin = await startOrigin(inTurn(piece(early, '"1"'), piece(file, '"2"')));
  await using rig = await makeRig({ url: origin.at('/file'), checksum: digest });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file) });
});

test.each([1024, 8192])('#10 #5 a file that changed under its ETag, from a server that sends %i bytes at a time: all that lies before the join is compared, however many answers it takes', async (pieceBytes) => {
  const withZeros = (version: Buffer): Buffer => Buffer.from(version.subarray(0, 300_000)).fill(0, 100_000 - 65_536, 100_000 - 49_152).fill(0, 100_000 - 4096, 100_000);
  const [old, fresh] = [withZeros(file), withZeros(newer)];
  await using origin = await startOrigin(({ n }) => serve(n === 1 ? old : fresh, { etag: '"1"', ...(n === 1 ? { truncateAt: 100_000 } : { pieceBytes }) }));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(fresh) });
});

test('#10 #13 the length that another version tells under the same ETag does not make what is here of the first one whole', async () => {
  const star = (first: number, last: number): string => `bytes ${first}-${last}/*`;
  const endless = serve(longer, { etag: '"1"', contentRange: star, truncateAt: SIZE });
  await using origin = await startOrigin(inTurn(endless, serve(newer, { etag: '"1"' })));
  await using rig = await makeRig({ url: origin.at('/file') });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(newer) });
});
