import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { content, serve, startOrigin, type LogEntry, type Origin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { noPowerCuts, Machine } from '../support/power.js';
import { isTorn, namesIn, textOf } from '../support/look.js';
import { figure, SCALE } from '../support/scale.js';
import { heldBytes } from '../support/socket-queues.js';
import { until } from '../support/wait.js';
import { addExtent, coveredBytes, type Extent } from '../../src/domain/segments.js';

const MIB = 1 << 20;
const CUTS = Math.ceil(300 * SCALE);
/** With the second and third, a file's length is on disk before its bytes: what was not synced is then zeros, or what was there before. */
const MOUNTS = ['data=ordered', 'data=writeback,nodelalloc', 'data=writeback'];
const BIG = 200 * MIB;
const everything = content('power cut', BIG + 16 * MIB);
const env = { POSTE_BACKOFF: '0.02' };

interface Tally {
  cuts: number;
  files: number;
  refetched: number;
  /** Boots that found bytes in a part file that never were the file's. */
  falseTails: number;
  /** Boots that found a record or a journal that ends, or is broken, in the middle of a line. */
  tornLines: number;
}

test.skipIf(noPowerCuts)(
  `#64 #65 the power is cut at any instant: what was said to be durable is, and the file is right (${noPowerCuts ?? 'ext4 on loop devices'})`,
  async () => {
    const share = Math.ceil(CUTS / MOUNTS.length);
    const failed = new AbortController();
    const lives = await Promise.allSettled(
      MOUNTS.map((options, index) =>
        manyCuts(options, Math.min(share, CUTS - index * share), failed.signal).catch((error: unknown) => {
          failed.abort();
          throw error;
        }),
      ),
    );
    const tallies = lives.map((life) => {
      if (life.status === 'rejected') throw life.reason;
      return life.value;
    });
    const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0);
    const most = Math.max(...tallies.map(({ refetched }) => refetched));
    const found = `false bytes found after ${sum(({ falseTails }) => falseTails)}, torn lines after ${sum(({ tornLines }) => tornLines)}`;
    figure('power cuts', `${sum(({ cuts }) => cuts)} cuts: 0 wrong, at most ${Math.ceil(most / MIB)} MiB of what was received fetched again (${sum(({ files }) => files)} files; ${found})`);
    expect(most).toBeLessThanOrEqual(64 * MIB);
  },
);

/** One machine's life: a file after the other, until its power was cut so many times or something was wrong on another. */
async function manyCuts(mountOptions: string, cuts: number, failed: AbortSignal): Promise<Tally> {
  const tally: Tally = { cuts: 0, files: 0, refetched: 0, falseTails: 0, tornLines: 0 };
  await using machine = await Machine.make(512, mountOptions);
  const home = await makeHome({ under: machine.state, enter: machine.enter });
  await home.sh('sync');
  while (tally.cuts < cuts && !failed.aborted) {
    tally.files += 1;
    await new Life(machine, home, tally).run();
  }
  return tally;
}

/** One download, from `start` to a claimed file, through as many cuts as come. */
class Life {
  readonly #machine: Machine;
  readonly #home: Home;
  readonly #tally: Tally;
  readonly #id: string;
  readonly #file: Buffer;
  readonly #destination: string;
  /** Its bytes are on the other disk than its state. */
  readonly #isApart: boolean;
  /** `start` has said that it is recorded. */
  #isPromised = false;
  /** What had been received when the power was cut, in any of its lives. */
  #received: readonly Extent[] = [];
  #requestsSeen = 0;

  constructor(machine: Machine, home: Home, tally: Tally) {
    this.#machine = machine;
    this.#home = home;
    this.#tally = tally;
    this.#id = `life-${tally.files}`;
    // Of the first one it takes several syncs; few of the others are longer than one, and some are so small that they have no part file.
    const size = tally.files === 1 ? BIG : tally.files % 4 === 0 ? Math.ceil(64 * 1024 * Math.random()) : Math.ceil(MIB * 2 ** (1 + 5 * Math.random()));
    const from = Math.floor(Math.random() * 16 * MIB);
    this.#file = everything.subarray(from, from + size);
    this.#isApart = Math.random() < 0.3;
    this.#destination = join(tally.files % 2 === 0 ? machine.shelf : machine.state, `${this.#id}.bin`);
  }

  async run(): Promise<void> {
    await using origin = await startOrigin(() =>
      serve(this.#file, {
        etag: '"1"',
        bytesPerSecond: MIB * 2 ** (5 + 4 * Math.random()),
        // A lost connection ends an attempt, and that is a sync.
        ...(Math.random() < 0.3 ? { truncateAt: Math.ceil(this.#file.length * Math.random()), endWith: 'rst' as const } : {}),
      }),
    );
    await this.#start(origin);
    while (!(await this.#isFinished())) await this.#transfer(origin);
    await this.#claim();
    await rm(this.#destination);
    // Else the next cut brings it back.
    const left = await this.#home.sh(`sync; find ${this.#machine.state} ${this.#machine.shelf} -xdev -type f -size +1M`);
    expect(left.stdout, 'bytes of a file that was delivered').toBe('');
  }

  async #start(origin: Origin): Promise<void> {
    while (!(await this.#isAdded())) {
      const apart = this.#isApart ? ['--temp-dir', this.#machine.shelf] : [];
      const command = this.#home.spawn(['start', '--id', this.#id, ...apart, origin.at('/file.bin')], { env });
      if (Math.random() < 0.3) await delay(600 * Math.random());
      else this.#isPromised = (await command.exit).code === 0;
      if (this.#isPromised && Math.random() < 0.5) return;
      await this.#cut(origin);
      await command.exit;
    }
  }

  /** Revives the session, and cuts the power at some instant of what follows, or when it was told that the file is here. */
  async #transfer(origin: Origin): Promise<void> {
    const chance = Math.random();
    const attached = chance < 0.2;
    const command = attached
      ? this.#home.spawn(['attach', '--id', this.#id], { env })
      : chance < 0.5
        ? this.#home.spawn(['restore'], { env })
        : this.#home.spawnWorker(this.#id, { env });
    const told = { finished: false };
    const exit = command.exit.then(({ code, stderr }) => {
      told.finished = attached && code === 0;
      return stderr;
    });
    await this.#instant(origin, exit).catch(async (error: unknown) => {
      const { n, path, range, ended, bodyBytesSent } = origin.log.at(-1) ?? {};
      const journal = (await this.#journal()).slice(-5).join('\n');
      const df = await this.#home.sh(`df ${this.#machine.state} ${this.#machine.shelf}`);
      throw new Error(inspect({ chance, stderr: await Promise.race([exit, delay(100).then(() => 'still running')]), journal, last: { n, path, range, ended, bodyBytesSent }, df }), { cause: error });
    });
    const { finished } = told;
    await this.#cut(origin);
    await exit;
    if (finished) expect(await this.#isFinished(), 'what was told to be finished is').toBe(true);
  }

  async #instant(origin: Origin, exit: Promise<unknown>): Promise<void> {
    const instants = [
      async () => delay(1000 * Math.random()),
      async () => {
        const enough = origin.bodyBytesSent + Math.random() * Math.min(this.#file.length, 64 * MIB);
        await this.#soon(() => origin.bodyBytesSent >= enough);
      },
      async () => {
        const marks = await this.#durableMarks();
        await this.#soon(async () => (await this.#durableMarks()) > marks);
      },
      async () => {
        const lines = (await this.#journal()).length;
        const more = Math.ceil(4 * Math.random());
        await this.#soon(async () => (await this.#journal()).length >= lines + more);
      },
      async () => {
        await exit;
      },
    ];
    await instants[Math.floor(Math.random() * instants.length)]?.();
    if (Math.random() < 0.3) {
      this.#machine.writeBack();
      await delay(10 * Math.random());
    }
  }

  /** Waits for `probe`, but not for ever: the file may be here before. */
  async #soon(probe: () => boolean | Promise<boolean>): Promise<void> {
    await until('the instant', async () => (await probe()) || (await this.#isFinished()), { deadlineMs: 60_000 });
  }

  async #claim(): Promise<void> {
    let claimed = false;
    for (let cuts = Math.floor(3 * Math.random()); ; cuts -= 1) {
      const command = this.#home.spawn(['claim', '--id', this.#id, '--to', this.#destination], { env });
      const chance = Math.random();
      if (cuts > 0 && chance < 0.7) {
        await delay(500 * Math.random());
        // Killed, it has made more than is durable; the next one ends what it began.
        if (chance < 0.3) {
          command.kill('SIGKILL');
          await command.exit;
          continue;
        }
      } else {
        const { code, stdout, stderr } = await command.exit;
        expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${this.#destination}\n`, stderr: '' });
        claimed = true;
      }
      if (cuts <= 0 && this.#tally.cuts % 2 === 0) break;
      await this.#cut(null);
      await command.exit;
      const there = await readFile(this.#destination).catch(() => null);
      if (!(there?.equals(this.#file) ?? !claimed)) throw new Error(`the claimed file is whole, or not there: ${inspect({ claimed, isApart: this.#isApart, ...(await this.#found(there)) })}`);
      if (cuts <= 0) break;
    }
    expect((await readFile(this.#destination)).equals(this.#file)).toBe(true);
    const verified = await this.#home.run(['verify', join(this.#home.sessionDir(this.#id), 'receipts', '1.json')]);
    expect({ code: verified.code, stderr: verified.stderr }).toEqual({ code: 0, stderr: '' });
    const claims = (await this.#journal()).filter((line) => line.includes('"task.claimed"'));
    expect(claims).toHaveLength(1);
    // A claimer whose power was cut has left nothing beside the file.
    for (const dir of [this.#machine.state, this.#machine.shelf]) {
      expect((await readdir(dir)).filter((name) => /^\.poste-[0-9a-f]{16}$/.test(name))).toEqual([]);
    }
    expect(await readdir(join(await this.#temp(), 'finished')).catch(() => [])).toEqual([]);
  }

  /** What became of a file that should be in its place. */
  async #found(there: Buffer | null): Promise<object> {
    const wrongFrom = there?.findIndex((byte, at) => byte !== this.#file[at]);
    const { stdout } = await this.#home.sh(`find ${this.#machine.state} ${this.#machine.shelf} -xdev -newermt '-60 seconds' -printf '%p %s %n\\n'`);
    return { destination: this.#destination, size: this.#file.length, found: there?.length ?? 'nothing', wrongFrom, journal: (await this.#journal()).slice(-8).join('\n'), disks: stdout };
  }

  async #cut(origin: Origin | null): Promise<void> {
    if (origin !== null) this.#note(origin);
    await this.#machine.cut();
    await this.#machine.boot();
    this.#tally.cuts += 1;
    if (this.#isPromised) expect(await this.#isAdded(), 'what was started is there').toBe(true);
    await this.#look();
  }

  /** Right before a cut: what the server sent since the last one, and what of that had been received before. */
  #note(origin: Origin): void {
    const requests = origin.log.slice(this.#requestsSeen);
    this.#requestsSeen = origin.log.length;
    const last = new Map(requests.map(({ clientPort, n }) => [clientPort, n]));
    const held = heldBytes(origin.port);
    const extents = (ofSent: (entry: LogEntry) => number): readonly Extent[] =>
      requests.map((entry) => ({ start: entry.range?.start ?? 0, end: (entry.range?.start ?? 0) + ofSent(entry) })).reduce<readonly Extent[]>(addExtent, []);
    const sent = extents(({ bodyBytesSent }) => bodyBytesSent);
    const both = sent.reduce(addExtent, this.#received);
    this.#tally.refetched = Math.max(this.#tally.refetched, coveredBytes(this.#received) + coveredBytes(sent) - coveredBytes(both));
    // What waits in the system's buffers has reached nobody.
    const received = extents(({ n, clientPort, bodyBytesSent }) => bodyBytesSent - (last.get(clientPort) === n ? (held.get(clientPort) ?? 0) : 0));
    this.#received = received.reduce(addExtent, this.#received);
  }

  /** What a cut has left that is not true, so that it is known to have been met. */
  async #look(): Promise<void> {
    const parts = join(await this.#temp(), 'parts');
    let torn = isTorn(await this.#journalText());
    for (const name of (await namesIn(parts)).filter((part) => part.endsWith('.part'))) {
      const bytes = await readFile(join(parts, name));
      if (!bytes.equals(this.#file.subarray(0, bytes.length))) this.#tally.falseTails += 1;
      torn ||= isTorn(await textOf(join(parts, name.replace(/part$/, 'extents'))));
    }
    if (torn) this.#tally.tornLines += 1;
  }

  async #durableMarks(): Promise<number> {
    const parts = join(await this.#temp(), 'parts');
    const texts = await Promise.all((await namesIn(parts)).filter((name) => name.endsWith('.extents')).map((name) => textOf(join(parts, name))));
    return texts.join('').split('"d":').length;
  }

  async #isAdded(): Promise<boolean> {
    return (await this.#journal()).some((line) => line.includes('"task.added"'));
  }

  async #isFinished(): Promise<boolean> {
    return (await this.#journal()).some((line) => line.includes('"task.finished"'));
  }

  /** Its whole lines. */
  async #journal(): Promise<string[]> {
    return (await this.#journalText()).split('\n').filter((line) => line.endsWith('"}'));
  }

  #journalText(): Promise<string> {
    return textOf(join(this.#home.sessionDir(this.#id), 'journal.ndjson'));
  }

  async #temp(): Promise<string> {
    if (!this.#isApart) return this.#home.sessionDir(this.#id);
    const name = (await namesIn(this.#machine.shelf)).find((folder) => folder.startsWith(`.poste-${this.#id}-`));
    return join(this.#machine.shelf, name ?? 'none yet');
  }
}
