import { createServer } from 'node:http';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { posteCommand } from '../clients.js';
import { measure, type Measured } from '../measure.js';
import { DISK, environment, makeDir } from '../place.js';
import { inTurn, ROUNDS, type Contender, type Outcome } from '../turns.js';
import type { Work } from '../work.js';

/** Each takes a fraction of a second. */
const TIMES = 4 * ROUNDS;
const MOST_MS = 60_000;

export const startUp: Work = {
  name: 'start-up',
  title: 'Start-up',
  about: [
    '`start` in a home that does not exist yet, so without a worker: until the prompt is back, and until the server has the first request.',
    'Its CPU is that of the command and its worker, to the end of a download of one byte. `status` of a home with one session.',
  ],
  columns: [
    { key: 'ms', title: 'ms', digits: 0, ratio: 'this ÷ baseline' },
    { key: 'cpu', title: 'CPU ms', digits: 0, ratio: 'this ÷ baseline' },
  ],
  baseline: 'node -e 0',
  run: async () => {
    let requestedAt = 0;
    const server = createServer((request, response) => {
      requestedAt ||= Number(process.hrtime.bigint()) / 1e6;
      request.resume();
      response.setHeader('ETag', '"1"').end('x');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/one.bin`;
    await using dir = await makeDir(DISK);
    const run = async (user: string, ...command: string[]): Promise<Measured> => {
      const home = join(dir.path, user);
      await mkdir(home, { recursive: true });
      return await measure(command, { cwd: home, env: environment(home), mostMs: MOST_MS }).all;
    };
    await run('settled', ...posteCommand('start', '--wait', url));
    let homes = 0;
    const start = async (what: (measured: Measured) => Outcome): Promise<Outcome> => {
      homes += 1;
      requestedAt = 0;
      return what(await run(`new-${homes}`, ...posteCommand('start', url)));
    };
    const contenders: Contender[] = [
      { name: 'node -e 0', missing: null, run: async () => outcome(await run('settled', process.execPath, '-e', '0')) },
      { name: 'poste status', missing: null, run: async () => outcome(await run('settled', ...posteCommand('status'))) },
      { name: 'poste start, to the prompt', missing: null, run: () => start(outcome) },
      {
        name: 'poste start, to the first request',
        missing: null,
        run: () => start((measured) => (requestedAt === 0 ? { kind: 'failed', why: 'nothing was requested' } : right({ ms: requestedAt - measured.startedAt }))),
      },
    ];
    try {
      return await inTurn('start-up', contenders, TIMES);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
};

function outcome({ code, wallMs, cpuMs, words }: Measured): Outcome {
  return code === 0 ? right({ ms: wallMs, cpu: cpuMs }) : { kind: 'failed', why: `exit ${code ?? 'by a signal'}: ${words}` };
}

function right(figures: Record<string, number>): Outcome {
  return { kind: 'right', figures };
}
