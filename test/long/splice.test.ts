import { describe, expect, test } from 'vitest';
import { runCell } from '../splice/cell.js';
import { CLIENTS, POSTE, versionOf } from '../splice/clients.js';
import { KILLED, SCHEDULES } from '../splice/schedules.js';
import { figure } from '../support/scale.js';

const MIB = 1024 * 1024;
const PATIENCE_MS = 60_000;

/** As in the table of `npm run splice-table`. */
describe.concurrent('poste ends with a right file', () => {
  test.each(SCHEDULES.map((schedule) => [schedule.faults, schedule.title, schedule] as const))('%s %s', async (_faults, _title, schedule) => {
    expect(await runCell(schedule, POSTE, PATIENCE_MS)).toMatchObject({ kind: 'right' });
  });
});

test(`${KILLED.faults} ${KILLED.title}: at most 1 MiB is fetched again for each connection`, async () => {
  const cell = await runCell(KILLED, POSTE, PATIENCE_MS);
  expect(cell).toMatchObject({ kind: 'right' });
  const { refetched, cut } = cell.kind === 'right' ? cell : { refetched: Infinity, cut: { connections: 1, unread: 0 } };
  figure('fetched again after kill -9, of 32 MiB', `${refetched} bytes, ${cut.connections} connections cut, ${cut.unread} bytes of these had reached nobody`);
  expect(refetched - cut.unread).toBeLessThanOrEqual(cut.connections * MIB);
});

describe.concurrent('the servers are such that others do not notice', () => {
  const [first] = SCHEDULES;
  for (const client of CLIENTS.filter(({ name }) => name === 'curl' || name === 'wget' || name === 'aria2')) {
    test.skipIf(versionOf(client) === null)(`a file that ${client.name} puts together from two versions`, async () => {
      expect(first && (await runCell(first, client, PATIENCE_MS))).toMatchObject({ kind: 'wrong', how: 'mixed' });
    });
  }
});
