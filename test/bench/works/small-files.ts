import { join } from 'node:path';
import { startNginx } from '../../support/nginx.js';
import { posteCommand, type Client } from '../clients.js';
import { fetching } from '../download.js';
import { DISK, makeDir, makeFile, MEMORY, type Wanted } from '../place.js';
import { inTurn, SCALE } from '../turns.js';
import { DOWNLOAD, type Work } from '../work.js';

const COUNT = Math.round(2000 * SCALE);
const SIZE = 10 * 1024;

const CLIENTS: readonly Client[] = [
  { name: 'poste', program: 'poste', command: ({ list }) => posteCommand('start', '-i', list, '--wait', '--to', './') },
  { name: 'curl -Z --parallel-max 16', program: 'curl', command: ({ curlList }) => ['curl', ...curlFlags(curlList)] },
  {
    name: 'the same, then sync',
    program: 'curl',
    command: ({ curlList }) => ['sh', '-c', 'curl "$@" && sync -f .', 'sh', ...curlFlags(curlList)],
  },
  { name: 'aria2 -j16', program: 'aria2c', command: ({ list }) => ['aria2c', '-q', '-j16', '-i', list] },
  { name: 'wget2 --max-threads=16', program: 'wget2', command: ({ list }) => ['wget2', '-q', '--max-threads=16', '-i', list] },
];

function curlFlags(list: string): string[] {
  return ['-sSf', '-Z', '--parallel-max', '16', '--remote-name-all', '-K', list];
}

export const smallFiles: Work = {
  name: 'small-files',
  title: `${COUNT} files of 10 KiB, to disk`,
  about: [
    'Poste’s are synced, recorded, checked, claimed, and each has a receipt; the others leave theirs to the system, which writes them some time',
    'later. axel fetches one file only.',
  ],
  columns: DOWNLOAD.map((column) => (column.key === 'rate' ? { key: 'each', title: 'ms a file' } : column)),
  baseline: 'poste',
  run: async () => {
    await using dir = await makeDir(MEMORY);
    await using nginx = await startNginx({ buffers: 'speed', under: dir.path });
    const wanted = new Map<string, Wanted>();
    for (let n = 1; n <= COUNT; n += 1) {
      const name = `file-${String(n).padStart(4, '0')}.bin`;
      wanted.set(name, await makeFile(join(nginx.root, name), name, SIZE));
    }
    return await inTurn('small-files', CLIENTS.map((client) => fetching(client, { wanted, at: (path) => nginx.at(path), under: DISK })));
  },
};
