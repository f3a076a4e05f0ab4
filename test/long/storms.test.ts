import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates, type Certificates } from '../support/certificates.js';
import { figure, SCALE } from '../support/scale.js';
import { FAULT_KINDS } from '../support/schedule.js';
import { runStorms, type StormReport } from '../support/storms.js';

/** Storms that one session goes through together: each command and each worker serves them all. */
const TOGETHER = 25;
const SESSIONS = 2 * availableParallelism();
/** `STORM_SEED=17`, or `STORM_SEED=17-32` for those of one session. */
const CHOSEN = process.env['STORM_SEED'];
/** Other storms than the usual ones: `STORM_FIRST=100001`. */
const FIRST = Number(process.env['STORM_FIRST'] ?? '1');
const CUTS = ['fin', 'rst'].flatMap((how) => ['length', 'chunked', 'close', 'http10'].map((framing) => `${how}, ${framing}`));
const OTHERS = ['stall, length', 'trickle, length', 'announced-change', 'silent-change'];

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});
afterAll(() => certificates[Symbol.asyncDispose]());

if (CHOSEN !== undefined) test('the storm of the seed given ends right', async () => {
  const [first = 0, last = first] = CHOSEN.split('-').map(Number);
  const report = await runStorms(range(first, last), certificates);
  console.log(report.storms.map(({ story }) => story).join('\n'));
  console.log(`${report.kills} kills, at most ${report.mostDescriptors} descriptors`, [...report.failures.entries()]);
  expect(wrongIn([report])).toEqual([]);
});

test.skipIf(CHOSEN)(
  '#1 #2 #3 #4 #5 #6 #7 #8 #9 #10 #11 #12 #13 #14 #15 #16 #17 #18 #19 #20 #22 #23 #24 #25 #26 #27 #28 #29 #30 #40 ' +
    'whatever servers do, in any order, and wherever the worker is killed: each file is one version of what the server had',
  async () => {
    const seeds = range(FIRST, FIRST - 1 + Math.round(2000 * SCALE));
    const groups = Array.from({ length: Math.ceil(seeds.length / TOGETHER) }, (_, n) => seeds.slice(n * TOGETHER, (n + 1) * TOGETHER));
    const reports: StormReport[] = [];
    const lane = async (): Promise<void> => {
      for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
        const report = await runStorms(group, certificates);
        reports.push(report);
        for (const words of wrongIn([report])) console.log(words);
        for (const { wrong, story } of report.storms) if (wrong !== null) console.log(story);
      }
    };
    await Promise.all(Array.from({ length: SESSIONS }, lane));

    const storms = reports.flatMap((report) => report.storms);
    const sum = (of: (report: StormReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
    const met = total(storms.map((storm) => storm.met));
    const stuck = storms.filter(({ end }) => end === 'stuck').length;
    const wrong = storms.filter(({ wrong }) => wrong !== null).length - stuck;
    figure(
      'seeded storms',
      `${storms.length} storms, ${sum(({ kills }) => kills)} kills: ${wrong} wrong, ${stuck} stuck, ${storms.reduce((n, { requests }) => n + requests, 0)} requests`,
    );
    console.log('faults met:', Object.fromEntries([...met].sort()));
    console.log('errors that a retry got over:', Object.fromEntries([...total(reports.map(({ failures }) => failures))].sort()));
    console.log(`at most ${Math.max(...reports.map(({ mostDescriptors }) => mostDescriptors))} descriptors in a worker of ${TOGETHER} downloads`);

    expect(wrongIn(reports)).toEqual([]);
    // A storm that never did what its name says would prove nothing.
    if (storms.length >= 2000) expect([...FAULT_KINDS, ...CUTS, ...OTHERS].filter((kind) => !met.has(kind))).toEqual([]);
  },
);

function wrongIn(reports: readonly StormReport[]): string[] {
  return reports.flatMap(({ findings, storms }) => [
    ...findings,
    ...storms.flatMap(({ seed, wrong }) => (wrong === null ? [] : [`STORM_SEED=${seed} npm run storms: ${wrong}`])),
  ]);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

function total(counts: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const count of counts) for (const [key, value] of count) sums.set(key, (sums.get(key) ?? 0) + value);
  return sums;
}
