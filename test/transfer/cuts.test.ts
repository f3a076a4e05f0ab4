import { expect, test } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { content, inTurn, serve, sha256, startOrigin, type Behaviour, type ServeOptions } from '../support/origin.js';
import { makeRig } from './rig.js';

const OLD = new Date(Date.now() - 3_600_000);
const OVERLAP = 64 * 1024;

/** The whole answer on the wire, head and all, up to its `bytes`th byte. */
function wire(file: Buffer, bytes: number, how: 'fin' | 'rst'): Behaviour {
  return async (exchange) => {
    const { range } = exchange.request;
    const start = range?.start ?? 0;
    const head = [
      `HTTP/1.1 206 Partial Content`,
      `Content-Range: bytes ${start}-${file.length - 1}/${file.length}`,
      `Content-Length: ${file.length - start}`,
      `ETag: "1"`,
    ];
    const answer = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), file.subarray(start)]);
    await exchange.write(answer.subarray(0, bytes));
    await exchange.close(how);
  };
}

test.each(['fin', 'rst'] as const)('#27 #13 cut by %s after any byte of the answer, those of its head too: tried again, and whole in the end', async (how) => {
  const file = content('any byte', 250);
  await using origin = await startOrigin(({ n }) => wire(file, n - 1, how));
  await using rig = await makeRig({ url: origin.at('/file') });
  let outcome = await rig.run();
  for (; outcome.kind === 'retry'; outcome = await rig.run()) expect(outcome.error).toMatchObject({ code: 'network', exitCode: 6, transient: true });
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  // One byte more each time: what was kept did not make the answer shorter than its head.
  expect(origin.log.length).toBeGreaterThan(100);
  expect(rig.told.restarts).toEqual([]);
});

test('#27 reset thirty times in one download: each time no more than the overlap is fetched again', async () => {
  const file = content('thirty', 6_000_000);
  await using origin = await startOrigin(({ n }) => serve(file, { etag: '"1"', ...(n <= 30 ? { truncateAt: OVERLAP + 100_000 + 1237 * n, endWith: 'rst' } : {}) }));
  await using rig = await makeRig({ url: origin.at('/file') });
  const asked: { from: number; had: number }[] = [];
  let had = 0;
  let outcome;
  do {
    outcome = await rig.run({ onProgress: ({ received }) => (had = received) });
    asked.push({ from: origin.log.at(-1)?.range?.start ?? 0, had });
  } while (outcome.kind === 'retry');
  expect(outcome).toMatchObject({ kind: 'complete', sha256: sha256(file) });
  expect(origin.log).toHaveLength(31);
  asked.slice(1).forEach(({ from }, index) => expect(from).toBeGreaterThanOrEqual((asked[index]?.had ?? 0) - OVERLAP));
});

test.each<[string, ServeOptions]>([
  ['Content-Length', {}],
  ['chunked', { chunked: true }],
  ['a body that ends with its connection', { contentLength: 'none' }],
])('#31 #13 TLS cut without close_notify, %s: never taken for the end, and whole in the end', async (_name, framing) => {
  const file = content('tls', 300_000);
  const options = { etag: '"1"', lastModified: OLD, ...framing };
  await using certificates = await makeCertificates();
  const cuts = [0, 1, 65_537, 299_000].map((truncateAt) => serve(file, { ...options, truncateAt }));
  await using origin = await startOrigin(inTurn(...cuts, serve(file, { etag: '"1"', lastModified: OLD })), { tls: certificates.good });
  await using rig = await makeRig({ url: origin.at('/file'), caFile: certificates.caFile });
  expect(await rig.settle()).toMatchObject({ kind: 'complete', sha256: sha256(file), length: 'verified' });
  expect(rig.told.restarts).toEqual([]);
});
