import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { firstOutput, hasEnded } from './child.js';

/** Why there can be no network of a test's own here, for the names of what needs one; `null` when there can. */
export const machineMissing = spawnSync('unshare', ['-n', '-m', 'ip', 'link']).status === 0 ? null : 'no network namespaces here';

/** Listens where it is told to inside a namespace, and hands the socket out to the test: a socket stays in the network that it was made in. */
const DOORMAN = `
  process.on('message', ({ kind, address, port }) => {
    if (kind === 'udp') {
      const socket = require('dgram').createSocket('udp4').bind(port, address, () => process.send('udp', socket, () => socket.close()));
    } else {
      const server = require('net').createServer().listen(port, address, () => process.send('tcp', server, () => server.close()));
    }
  });
  process.send('ready');`;

/** A machine with a network of its own (a namespace): loopback, and whatever a test adds. Its names are resolved at 127.0.0.1, port 53. */
export class Machine implements AsyncDisposable {
  readonly pid: number;
  readonly #dir: string;
  readonly #keeper: ChildProcess;
  readonly #doorman: ChildProcess;

  private constructor(dir: string, keeper: ChildProcess, doorman: ChildProcess) {
    this.pid = keeper.pid ?? 0;
    this.#dir = dir;
    this.#keeper = keeper;
    this.#doorman = doorman;
  }

  static async make(): Promise<Machine> {
    const dir = await mkdtemp(join(tmpdir(), 'poste-machine-'));
    await writeFile(join(dir, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    await writeFile(join(dir, 'nsswitch.conf'), 'hosts: files dns\n');
    const binds = ['resolv.conf', 'nsswitch.conf'].map((name) => `touch /etc/${name}; mount --bind '${join(dir, name)}' /etc/${name} &&`);
    const script = `ip link set lo up && ${binds.join(' ')} echo ready && exec sleep 600`;
    const keeper = spawn('unshare', ['-n', '-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await firstOutput(keeper);
    const into = ['-t', String(keeper.pid ?? 0), '-n', process.execPath, '-e', DOORMAN];
    const doorman = spawn('nsenter', into, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(doorman, 'message');
    return new Machine(dir, keeper, doorman);
  }

  /** The words before a command that make it run on this machine, in `cwd`. */
  under(cwd: string): string[] {
    return ['nsenter', '-t', String(this.pid), '-n', '-m', 'sh', '-c', 'cd "$0" && exec "$@"', cwd];
  }

  /** Runs `ip` with these words. */
  async ip(words: string): Promise<void> {
    await promisify(execFile)('nsenter', ['-t', String(this.pid), '-n', 'ip', ...words.split(' ')]);
  }

  /** A cable to another machine: an interface of this name at both ends. */
  async wireTo(other: Machine, name: string): Promise<void> {
    await this.ip(`link add ${name} type veth peer name ${name} netns ${other.pid}`);
  }

  async listen(address: string, port: number): Promise<Server> {
    return (await this.#socket('tcp', address, port)) as Server;
  }

  async udp(address: string, port: number): Promise<UdpSocket> {
    return (await this.#socket('udp', address, port)) as UdpSocket;
  }

  async #socket(kind: 'tcp' | 'udp', address: string, port: number): Promise<unknown> {
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#doorman.once('exit', () => reject(new Error(`${kind} ${address} ${port} cannot be listened at`)));
      this.#doorman.once('message', (_word, socket) => resolve(socket));
    });
    this.#doorman.send({ kind, address, port });
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#doorman, this.#keeper]) {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
      await hasEnded(child);
    }
    await rm(this.#dir, { recursive: true, force: true });
  }
}
