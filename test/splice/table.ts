import { runCell, type Cell } from './cell.js';
import { CLIENTS, versionOf, type Client } from './clients.js';
import { KILLED, SCHEDULES, type Schedule } from './schedules.js';

/** A row of the table: how each client came out of a schedule. */
export interface Row {
  readonly schedule: Schedule;
  readonly cells: ReadonlyMap<Client, Cell>;
}

const CELL_MS = 20_000;

/** Those of `clients` that are installed, with their versions. */
export function installed(clients: readonly Client[] = CLIENTS): Map<Client, string> {
  return new Map(
    clients.flatMap((client): [Client, string][] => {
      const version = versionOf(client);
      return version === null ? [] : [[client, version]];
    }),
  );
}

/** Runs every client through every schedule, a few at a time. */
async function measure(schedules: readonly Schedule[], clients: readonly Client[], atOnce: number): Promise<Row[]> {
  const rows = schedules.map((schedule) => ({ schedule, cells: new Map<Client, Cell>() }));
  const jobs = rows.flatMap(({ schedule, cells }) => clients.map((client) => ({ schedule, client, cells })));
  const next = jobs.values();
  const work = async (): Promise<void> => {
    for (const { schedule, client, cells } of next) cells.set(client, await runCell(schedule, client, CELL_MS));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return rows;
}

export async function splicePage(versions: ReadonlyMap<Client, string>, date: string): Promise<string> {
  const clients = [...versions.keys()];
  const rows = await measure(SCHEDULES, clients, 4);
  const killed = await measure([KILLED], clients, 2);
  const count = (client: Client): string => String(rows.filter(({ cells }) => cells.get(client)?.kind === 'wrong').length);
  return [
    `Measured on ${date}: ${clients.map((client) => `${client.name} ${versions.get(client) ?? ''}`).join(', ')}.`,
    '',
    ...table(['what the server does', ...clients.map(({ name }) => name)], [
      ...rows.map(({ schedule, cells }) => [schedule.title, ...clients.map((client) => shown(cells.get(client)))]),
      ['**a wrong file and exit code 0**', ...clients.map((client) => `**${count(client)}**`)],
    ]),
    '',
    '`WRONG`: exit code 0 and a file that the server never had. `error`: none, and the exit code says so (`hangs`: not over after 20 s).',
    'Each is run again until it exits with 0, six times at most:',
    '',
    ...clients.map(({ command }) => `- \`${[...command('URL')].map(plain).join(' ')}\``),
    '',
    ...table([KILLED.title, ...clients.map(({ name }) => name)], [
      ['the file', ...clients.map((client) => shown(killed[0]?.cells.get(client)))],
      ['fetched again, of 32 MiB', ...clients.map((client) => percent(killed[0]?.cells.get(client)))],
    ]),
    '',
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function shown(cell: Cell | undefined): string {
  switch (cell?.kind) {
    case 'right':
      return 'right';
    case 'wrong':
      return `**WRONG** (${cell.how})`;
    case 'error':
      return cell.exitCode === 'hangs' ? 'hangs' : `error ${cell.exitCode}`;
    case undefined:
      return '';
  }
}

function percent(cell: Cell | undefined): string {
  if (cell === undefined || cell.kind === 'error') return '–';
  const size = KILLED.versions[0]?.length ?? 1;
  return `${((100 * Math.max(0, cell.refetched)) / size).toFixed(1)} %`;
}

/** A program by its name alone. */
function plain(word: string): string {
  return word === process.execPath ? 'node' : word.startsWith('/') ? word.slice(word.lastIndexOf('/bin/') + 1) : word;
}
