import { expect, test } from 'vitest';
import { Together } from '../../src/store/together.js';

test('who asks while a run is under way shares the next one, which begins after he asked', async () => {
  const begun: string[] = [];
  let end: () => void = () => undefined;
  const together = new Together((key) => {
    begun.push(key);
    return new Promise<number>((resolve) => {
      end = () => resolve(begun.length);
    });
  });
  const first = together.run('a');
  const [second, third] = [together.run('a'), together.run('a')];
  expect(begun).toEqual(['a']);
  end();
  expect(await first).toBe(1);
  await Promise.resolve();
  expect(begun).toEqual(['a', 'a']);
  const fourth = together.run('a');
  end();
  expect(await Promise.all([second, third])).toEqual([2, 2]);
  await Promise.resolve();
  end();
  expect(await fourth).toBe(3);
});

test('one key does not wait for another, and a run that fails fails those who shared it alone', async () => {
  let fails = true;
  const together = new Together(async (key) => {
    await Promise.resolve();
    if (fails) throw new Error(key);
    return key;
  });
  const a = together.run('a');
  const b = together.run('b');
  await expect(a).rejects.toThrow('a');
  await expect(b).rejects.toThrow('b');
  fails = false;
  expect(await together.run('a')).toBe('a');
});
