import { mkdir, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { versionOf, type Client, type Job } from './clients.js';
import { measure } from './measure.js';
import { environment, makeDir, whatIsWrong, type Wanted } from './place.js';
import { follow, type Contender, type Outcome } from './turns.js';

/** What all clients fetch in turn. */
export interface Goods {
  /** By name, the files that must be there in the end. */
  readonly wanted: ReadonlyMap<string, Wanted>;
  /** The URL of a name. */
  readonly at: (path: string) => string;
  /** Bytes sent so far, for the throughput over time. */
  readonly sent?: () => number;
  /** Where it is fetched to; a fresh directory is made there for each run. */
  readonly under: string;
  /** The most that the server gives to all connections together, bytes per second: `ideal` is then how many times the least time was taken. */
  readonly bestRate?: number;
  /** A run that takes longer has failed. Default: ten minutes. */
  readonly mostMs?: number;
}

/** A client that fetches the goods. Its time ends with its command, its CPU with the last process that it left in the background. */
export function fetching(client: Client, goods: Goods, name = client.name): Contender {
  return {
    name,
    missing: versionOf(client.program) === null ? 'not installed' : null,
    run: () => fetchOnce(client, goods),
  };
}

async function fetchOnce(client: Client, { wanted, at, sent, under, bestRate, mostMs = 600_000 }: Goods): Promise<Outcome> {
  await using dir = await makeDir(under);
  const out = join(dir.path, 'out');
  await mkdir(out);
  const urls = [...wanted.keys()].map((file) => at(`/${file}`));
  const job: Job = { url: urls[0] ?? '', list: join(dir.path, 'list'), curlList: join(dir.path, 'curl-list') };
  await writeFile(job.list, urls.map((url) => `${url}\n`).join(''));
  await writeFile(job.curlList, urls.map((url) => `url = "${url}"\n`).join(''));
  // What the one before has left to be written is not this one's to wait for.
  spawnSync('sync', ['-f', under]);
  const following = sent === undefined ? null : follow(sent);
  const measuring = measure(client.command(job), { cwd: out, env: environment(dir.path), mostMs });
  await measuring.command.catch(() => undefined);
  const trace = await following?.stop();
  const { code, wallMs, cpuMs, words } = await measuring.all;
  if (wallMs >= mostMs) return { kind: 'failed', why: `not over after ${mostMs / 1000} s` };
  if (code !== 0) return { kind: 'failed', why: `exit ${code ?? 'by a signal'}${words === '' ? '' : `: ${words.split('\n').at(-1) ?? ''}`}` };
  const wrong = await whatIsWrong(out, wanted);
  if (wrong !== null) return { kind: 'failed', why: wrong };
  const bytes = [...wanted.values()].reduce((sum, { size }) => sum + size, 0);
  const seconds = wallMs / 1000;
  const figures = { seconds, rate: bytes / 1e6 / seconds, each: wallMs / wanted.size, cpu: cpuMs / 1000 };
  const ideal = bestRate === undefined ? {} : { ideal: seconds / (bytes / bestRate) };
  return { kind: 'right', figures: { ...figures, ...ideal }, ...(trace === undefined ? {} : { trace }) };
}
