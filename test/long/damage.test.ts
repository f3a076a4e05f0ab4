import { basename } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cuts, dice, flips, misshapen, REPLACED, type Damage } from '../support/damage.js';
import { FILES, HurtSession, type Aftermath } from '../support/hurt-session.js';
import { figure, SCALE } from '../support/scale.js';

let session: HurtSession;
let cases = 0;

beforeAll(async () => {
  session = await HurtSession.make();
});

afterAll(async () => {
  figure('damaged state', `${cases} cases: 0 crashes, 0 hangs, 0 wrong files`);
  await session[Symbol.asyncDispose]();
});

async function hurtEach(file: string, damages: readonly Damage[]): Promise<Map<string, Aftermath>> {
  const outcomes = new Map<string, Aftermath>();
  for (const damage of damages) {
    try {
      outcomes.set(damage.name, await session.hurt(file, damage));
    } catch (error) {
      throw new Error(`${basename(file)}: ${damage.name}`, { cause: error });
    }
    cases += 1;
  }
  return outcomes;
}

test('what is hurt here is sound: all of it is delivered when nothing is done to it', async () => {
  const [file = ''] = await session.stateFiles();
  const { errors, delivered } = await session.hurt(file, { name: 'nothing', change: () => Promise.resolve() });
  expect([errors, delivered]).toEqual([[], Object.keys(FILES).sort()]);
});

test('#65 #66 #67 something else stands in the place of any state file: no crash, no hang, nothing lost, no wrong file', async () => {
  for (const file of await session.stateFiles()) await hurtEach(file, REPLACED);
});

test('#65 #66 any state file cut anywhere, or with any bit flipped: no crash, no hang, nothing lost, no wrong file', async () => {
  const roll = dice(65);
  for (const file of await session.stateFiles()) {
    const { length } = await session.whole(file);
    // What rots in bytes that no digest vouches for yet is found by the join only: it is not the state's to know.
    const flipped = file.endsWith('.part') ? [] : flips(length, Math.round(3 * SCALE), roll);
    await hurtEach(file, [...cuts(length, Math.round(6 * SCALE), roll), ...flipped]);
  }
});

test('#65 a whole line that means something else: no crash, no hang, no wrong file', async () => {
  const roll = dice(66);
  for (const file of await session.stateFiles()) {
    const count = /ndjson|extents/.test(file) ? 60 : 10;
    await hurtEach(file, misshapen((await session.whole(file)).toString(), Math.round((count * SCALE) / 2), roll).filter(({ name }) => !isAnotherSecret(file, name)));
  }
});

/** Sent as it is there, and what comes of it is its server's to say: nothing here could tell it from the true one. */
function isAnotherSecret(file: string, damage: string): boolean {
  return basename(file) === 'secrets.json' && /\.(url|headers\.\d+\.1) is "/.test(damage);
}
