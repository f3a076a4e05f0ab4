import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Machine, machineMissing } from '../support/machine.js';
import { NameServer } from '../support/names.js';
import { content, serve, sha256, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { until } from '../support/wait.js';

const SIZE = 2_000_000;
const file = content('names', SIZE);
const PORT = 8080;
const env = { POSTE_BACKOFF: '0.02' };
const where = `(${machineMissing ?? 'in a network of its own'})`;

async function lookUpErrors(home: Home): Promise<string[]> {
  const tries = (await home.journal()).filter(({ type }) => type === 'task.retrying');
  return tries.map(({ error }) => `${(error as { code: string }).code} ${(error as { message: string }).message.match(/\((E\w+)\)/)?.[1] ?? ''}`);
}

test.skipIf(machineMissing)(`#32 a name server that is silent, one that fails, no such name: tried again, asked anew each time, and through in the end ${where}`, async () => {
  await using machine = await Machine.make();
  using names = new NameServer(await machine.udp('127.0.0.1', 53), () => 'silence');
  await using origin = await startOrigin(() => serve(file, { etag: '"1"' }), { at: { host: 'files.test', port: PORT, listen: () => machine.listen('127.0.0.1', PORT) } });
  await using home = await makeHome();
  const under = machine.under(home.cwd);
  expect((await home.run(['start', origin.at('/file.bin')], { under, env })).code).toBe(0);
  await until('silence', async () => (await lookUpErrors(home)).includes('dns EAI_AGAIN'));
  for (const [answer, code] of [['failure', 'EAI_AGAIN'], ['no such name', 'ENOTFOUND']] as const) {
    const before = (await lookUpErrors(home)).length;
    names.script = () => answer;
    await until(answer, async () => (await lookUpErrors(home)).slice(before + 1).includes(`dns ${code}`));
  }
  const asked = names.questions;
  names.script = () => ({ a: ['127.0.0.1'] });
  expect((await home.run(['attach'], { under })).code).toBe(0);
  expect(names.questions).toBeGreaterThan(asked);
  expect(origin.log).toHaveLength(1);
});

test.skipIf(machineMissing)(`#32 another address half way: the rest is fetched from there ${where}`, async () => {
  await using machine = await Machine.make();
  using names = new NameServer(await machine.udp('127.0.0.1', 53), () => ({ a: ['127.0.0.1'] }));
  const at = (address: string): { host: string; port: number; listen: () => ReturnType<Machine['listen']> } => ({
    host: 'files.test',
    port: PORT,
    listen: () => machine.listen(address, PORT),
  });
  await using first = await startOrigin(() => serve(file, { etag: '"1"', stallAt: SIZE / 2 }), { at: at('127.0.0.1') });
  await using second = await startOrigin(() => serve(file, { etag: '"1"' }), { at: at('127.0.0.2') });
  await using home = await makeHome();
  const under = machine.under(home.cwd);
  await home.run(['start', first.at('/file.bin')], { under, env });
  await until('half of it', async () => (await home.status()).tasks[0]?.bytesReceived === SIZE / 2);
  names.script = () => ({ a: ['127.0.0.2'] });
  await first.down();
  expect((await home.run(['attach'], { under })).code).toBe(0);
  await home.run(['claim']);
  expect(sha256(await readFile(join(home.cwd, 'file.bin')))).toBe(sha256(file));
  expect(second.log.map(({ range }) => range?.start)).toEqual([SIZE / 2 - 65_536]);
});
