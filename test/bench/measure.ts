import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Runs a command and waits for everything that it started, however detached: as a child subreaper (prctl(2)) it becomes the parent of whoever
 * loses theirs, and wait4(2) tells what each has used. Node cannot be one. Times are those of CLOCK_MONOTONIC, as process.hrtime's.
 */
const REAPER = `
  use POSIX ();
  my %numbers = (x86_64 => [157, 61, 228], aarch64 => [167, 260, 113]);
  my ($prctl, $wait4, $clock_gettime) = @{$numbers{(POSIX::uname())[4]} or die "no system call numbers for this machine\\n"};
  my ($PDEATHSIG, $SUBREAPER, $MONOTONIC, $EINTR) = (1, 36, 1, 4);
  sub children { open(my $list, '<', "/proc/$$/task/$$/children") or die "children: $!\\n"; split(' ', <$list> // '') }
  sub now { my $time = "\\0" x 16; syscall($clock_gettime, $MONOTONIC, $time); my ($s, $ns) = unpack('q2', $time); $s * 1e3 + $ns / 1e6 }
  my $killing = 0;
  $SIG{TERM} = $SIG{INT} = sub { $killing = 1; kill('KILL', children()) };
  syscall($prctl, $SUBREAPER, 1, 0, 0, 0) == 0 or die "prctl: $!\\n";
  syscall($prctl, $PDEATHSIG, 15, 0, 0, 0);
  $| = 1;
  my $started = now();
  my $command = fork() // die "fork: $!\\n";
  if ($command == 0) {
    $SIG{TERM} = $SIG{INT} = 'DEFAULT';
    open(STDOUT, '>', '/dev/null');
    exec { $ARGV[0] } @ARGV or POSIX::_exit(127);
  }
  printf("%d %.3f\\n", $command, $started);
  for (;;) {
    kill('KILL', children()) if $killing;
    my ($status, $usage) = (pack('i', 0), "\\0" x 144);
    my $pid = syscall($wait4, -1, $status, 0, $usage);
    next if $pid < 0 && $! == $EINTR;
    last if $pid < 0;
    my ($us, $uus, $ss, $sus) = unpack('q4', $usage);
    printf("%d %.3f %d %.3f\\n", $pid, now(), unpack('i', $status), ($us + $ss) * 1e3 + ($uus + $sus) / 1e3);
  }
`;

/** What a command took, with all that it started. Milliseconds. */
export interface Measured {
  /** Of the command itself; a signal counts as `null`. */
  readonly code: number | null;
  /** CLOCK_MONOTONIC when it was typed. */
  readonly startedAt: number;
  /** From then until the command's end. What it left in the background is not waited for. */
  readonly wallMs: number;
  /** User and system time of the command and of everything that it started, until the last of them had ended. */
  readonly cpuMs: number;
  /** The last of what it wrote to standard error. */
  readonly words: string;
}

export interface MeasureOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** After so long all is killed. */
  readonly mostMs: number;
}

export interface Measuring {
  /** Resolves when the command has ended; what it started may still run. Rejects when it could not be measured. */
  readonly command: Promise<Omit<Measured, 'cpuMs'>>;
  /** Resolves when everything has ended. */
  readonly all: Promise<Measured>;
  /** kill -9 to the command and all that it started. */
  kill(): void;
}

/** Starts `command` and measures it. */
export function measure(command: readonly string[], { cwd, env, mostMs }: MeasureOptions): Measuring {
  const reaper = spawn('perl', ['-e', REAPER, '--', ...command], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  reaper.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)));
  let started: { pid: number; at: number } | null = null;
  let ended: Omit<Measured, 'cpuMs'> | null = null;
  let cpuMs = 0;
  const late = setTimeout(() => reaper.kill('SIGTERM'), mostMs);
  const lines = createInterface({ input: reaper.stdout });
  const closed = once(reaper, 'close').then(() => clearTimeout(late));
  const commandEnded = new Promise<Omit<Measured, 'cpuMs'>>((resolve, reject) => {
    reaper.once('error', reject);
    lines.on('line', (line) => {
      const [pid = 0, at = 0, status = 0, cpu] = line.split(' ').map(Number);
      if (cpu === undefined) {
        started = { pid, at };
        return;
      }
      cpuMs += cpu;
      if (started === null || pid !== started.pid) return;
      ended = { code: (status & 0x7f) === 0 ? status >> 8 : null, startedAt: started.at, wallMs: at - started.at, words: '' };
      resolve(ended);
    });
    void closed.then(() => {
      if (ended === null) reject(new Error(`the command was not measured: ${words}`));
    });
  });
  const all = Promise.all([commandEnded, closed]).then(([end]): Measured => ({ ...end, cpuMs, words: words.trim() }));
  all.catch(() => undefined);
  return { command: commandEnded, all, kill: () => reaper.kill('SIGTERM') };
}

/** Leaves its parent, its session and its process group before it uses 300 ms of processor time, and says how much it was. */
const BURNER = `
  use POSIX ();
  exit if fork();
  POSIX::setsid();
  exit if fork();
  1 until (times)[0] + (times)[1] >= 0.3;
  open(my $used, '>', $ARGV[0]) or die;
  print $used 1e3 * ((times)[0] + (times)[1]);
`;

/** A command that burns processor time behind its caller's back, and writes how many milliseconds to `file`. */
export function burner(file: string): string[] {
  return ['perl', '-e', BURNER, file];
}
