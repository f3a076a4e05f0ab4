import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstOutput, hasEnded } from './child.js';
import { kill } from './poste.js';
import { until } from './wait.js';

/** What puts an ext4 file system out of work at once, with nothing flushed, its journal included: EXT4_IOC_SHUTDOWN, NOLOGFLUSH. */
const CUT = `
  my @disks = map { open(my $disk, '<', $_) or die "$_: $!"; $disk } @ARGV;
  $| = 1;
  print "armed\\n";
  <STDIN>;
  for my $disk (@disks) { my $how = pack('L', 2); ioctl($disk, 0x8004587d, $how) or die $!; }
`;
/** Memory spares the real disk every one of the syncs, which are what makes the difference in here only. */
const IMAGES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Why the power cannot be cut here, or `null`. */
export const noPowerCuts: string | null = probe();

function probe(): string | null {
  const script = `
    dir=$(mktemp -d) && trap 'umount "$dir/disk" 2>/dev/null; rm -rf "$dir"' EXIT && mkdir "$dir/disk" &&
    truncate -s 8M "$dir/image" && mkfs.ext4 -q -F "$dir/image" && mount -o loop "$dir/image" "$dir/disk" &&
    echo boot > "$dir/boot" && mount --bind "$dir/boot" /proc/sys/kernel/random/boot_id &&
    echo | perl -e "$CUT" "$dir/disk" > /dev/null && ! touch "$dir/disk/file"`;
  const { status, stderr, error } = spawnSync('unshare', ['-m', 'sh', '-c', script], { env: { ...process.env, CUT }, encoding: 'utf8', timeout: 60_000 });
  if (status === 0) return null;
  return `no ext4 on a loop device that can be shut down here (${(error?.message ?? stderr).trim().split('\n')[0] ?? ''})`;
}

/**
 * A machine whose power can be cut: two ext4 file systems of its own, `state` and `shelf`, and another boot id after each boot. It is a mount
 * namespace; programs that are run by way of {@link enter} are in it, and its files are seen from everywhere by the same paths.
 */
export class Machine implements AsyncDisposable {
  readonly state: string;
  readonly shelf: string;
  /** In front of a command, runs it in here. */
  readonly enter: readonly string[];
  readonly #keeper: ChildProcess;
  readonly #dir: string;
  readonly #mountOptions: string;
  #cutter: ChildProcess | null = null;

  private constructor(keeper: ChildProcess, dir: string, mountOptions: string) {
    const pid = String(keeper.pid ?? 0);
    this.#keeper = keeper;
    this.#dir = dir;
    this.#mountOptions = mountOptions;
    this.state = `/proc/${pid}/root${dir}/state`;
    this.shelf = `/proc/${pid}/root${dir}/shelf`;
    this.enter = ['nsenter', '-t', pid, '-m', '--'];
  }

  /** Of two file systems of `mebibytes` each, which are mounted with `mountOptions`; booted. */
  static async make(mebibytes: number, mountOptions: string): Promise<Machine> {
    const dir = await mkdtemp(join(IMAGES, 'poste-machine-'));
    for (const disk of ['state', 'shelf']) await mkdir(join(dir, disk));
    // It ends with its standard input, however this process ends.
    const keeper = spawn('unshare', ['-m', 'sh', '-c', 'echo ready && exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await firstOutput(keeper);
    const machine = new Machine(keeper, dir, mountOptions);
    await machine.#run(`
      touch boot && mount --bind boot /proc/sys/kernel/random/boot_id
      for disk in state shelf; do truncate -s ${mebibytes}M $disk.image; mkfs.ext4 -q -F -m 0 $disk.image; done`);
    await machine.boot();
    return machine;
  }

  /** Kills what runs, mounts what the disks had at the cut, and is another boot. The first one mounts only. */
  async boot(): Promise<void> {
    await this.#killAll();
    await writeFile(join(this.#dir, 'boot'), `${randomUUID()}\n`);
    // Whoever was killed lets go of the file system a little later.
    await this.#run(`
      for disk in state shelf; do
        tries=0
        while mountpoint -q $disk; do umount $disk 2>/dev/null || { tries=$((tries + 1)); [ $tries -lt 2000 ]; sleep 0.01; }; done
        mount -o loop,${this.#mountOptions} $disk.image $disk
      done`);
    const cutter = spawn(this.enter[0] ?? '', [...this.enter.slice(1), 'perl', '-e', CUT, join(this.#dir, 'state'), join(this.#dir, 'shelf')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#cutter = cutter;
    await firstOutput(cutter);
  }

  /** What was not synced by now is gone with the next {@link boot}; until then nothing can be read or written. */
  async cut(): Promise<void> {
    const cutter = this.#cutter;
    if (cutter === null) throw new Error('the machine has no power');
    this.#cutter = null;
    const exit = once(cutter, 'exit');
    cutter.stdin?.end('\n');
    const [code] = (await exit) as [number | null];
    if (code !== 0) throw new Error(`the power could not be cut: exit ${String(code)}`);
  }

  /** Has the kernel find an error in the disk of `state`: mounted with errors=remount-ro, it is read-only from now on. */
  async damage(): Promise<void> {
    await this.#run(`echo damaged > /sys/fs/ext4/$(basename $(findmnt -n -o SOURCE state))/trigger_fs_error`);
  }

  /** Lets the system write what is dirty, as it does by itself now and then; not waited for. */
  writeBack(): void {
    spawn(this.enter[0] ?? '', [...this.enter.slice(1), 'sync', '-f', join(this.#dir, 'state')], { stdio: 'ignore' }).on('error', () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cutter?.kill('SIGKILL');
    await this.#killAll();
    this.#keeper.kill('SIGKILL');
    await hasEnded(this.#keeper);
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #killAll(): Promise<void> {
    const ours = await readlink(`/proc/${this.#keeper.pid ?? 0}/ns/mnt`);
    await until('whatever runs on the machine to be gone', async () => {
      const running = [];
      for (const entry of await readdir('/proc')) {
        if (!/^\d+$/.test(entry) || Number(entry) === this.#keeper.pid) continue;
        // A process that has ended and was not reaped has no namespace any more.
        if ((await readlink(`/proc/${entry}/ns/mnt`).catch(() => '')) === ours) running.push(Number(entry));
      }
      running.forEach((pid) => kill(pid));
      return running.length === 0;
    });
  }

  async #run(script: string): Promise<void> {
    const child = spawn(this.enter[0] ?? '', [...this.enter.slice(1), 'sh', '-ec', `cd "$1"\n${script}`, 'sh', this.#dir], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`exit ${String(code)}: ${script}\n${errors}`);
  }
}
