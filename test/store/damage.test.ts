import { expect, test } from 'vitest';
import { REPLACED, truncated } from '../support/damage.js';
import { FILES, HurtSession } from '../support/hurt-session.js';

const ALL = Object.keys(FILES).sort();

/** A few of what the long suite does to every state file, and what is said of each. */
test('#65 #66 #67 state that is lost, or not what it was, is told, and no wrong byte is delivered', async () => {
  await using session = await HurtSession.make();
  const files = await session.stateFiles();
  const named = (pattern: RegExp): string => files.find((file) => pattern.test(file)) ?? '';
  const replaced = (name: string): (typeof REPLACED)[number] => REPLACED.find((damage) => damage.name === name) ?? truncated(0);

  for (const damage of [replaced('deleted'), replaced('zeros'), replaced('a FIFO'), truncated(50)]) {
    const { errors, delivered } = await session.hurt(named(/journal/), damage);
    expect([damage.name, errors, delivered]).toEqual([damage.name, ['claim: damaged', 'events: damaged', 'work: damaged'], ['claimed.bin']]);
  }
  for (const damage of [replaced('deleted'), truncated(100)]) {
    const { restarts, delivered } = await session.hurt(named(/extents/), damage);
    expect([damage.name, restarts, delivered]).toEqual([damage.name, 1, ALL]);
  }
  const { states } = await session.hurt(named(/secrets/), truncated(10));
  expect(states['5']).toBe('waiting');
  const finished = await session.hurt(named(/done\.bin/), truncated(100));
  expect([finished.errors, finished.delivered]).toEqual([['claim 1: damaged'], ALL.filter((name) => name !== 'done.bin')]);
  for (const file of [named(/owner/), named(/inbox/), named(/intents/), named(/progress/)]) {
    const { errors, delivered } = await session.hurt(file, replaced('a FIFO'));
    expect([file, errors, delivered]).toEqual([file, [], ALL]);
  }
});
