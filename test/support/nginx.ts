import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './wait.js';

export interface NginxRequest {
  readonly method: string;
  readonly path: string;
  /** The Range header as sent, `null` without one. */
  readonly range: string | null;
  readonly status: number;
  /** What the system took for sending; a client that was killed may not have read the last of them. */
  readonly bodyBytesSent: number;
  readonly connection: number;
}

export interface Nginx extends AsyncDisposable {
  /** The URL of a file below the served directory; `path` begins with a slash. */
  at(path: string): string;
  /** The directory served. Its files may be changed or replaced at any time. */
  readonly root: string;
  /** Every request that has ended, in the order of ending. */
  log(): Promise<NginxRequest[]>;
  /** Bytes it has handed to the system so far, of answers under way too; headers and log lines are among them. */
  sent(): number;
}

export interface NginxOptions {
  /** Bytes per second and connection; 0 is without limit. */
  readonly limitRate?: number;
  /** Requests at once; others are answered 503. */
  readonly mostAtOnce?: number;
  /** `small` send buffers, so that what a killed client leaves unread stays small, or those that `speed` wants. */
  readonly buffers?: 'small' | 'speed';
  /** Where its own directory is made; by default the system's folder for temporary files. */
  readonly under?: string;
}

const BINARY = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((file) => spawnSync(file, ['-v']).status === 0);

/** Why a suite that needs nginx cannot run here, for its name; `null` when it can. */
export const nginxMissing = BINARY === undefined ? 'nginx is not installed' : null;

/** Starts a real nginx on a free port, serving a directory of its own. */
export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  if (BINARY === undefined) throw new Error('nginx is not installed');
  const prefix = await mkdtemp(join(options.under ?? tmpdir(), 'poste-nginx-'));
  const root = join(prefix, 'files');
  await mkdir(root);
  const port = await freePort();
  await writeFile(join(prefix, 'nginx.conf'), configuration(port, root, options));
  const errorLog = join(prefix, 'error.log');
  const child = spawn(BINARY, ['-p', prefix, '-c', 'nginx.conf', '-e', errorLog], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A test that runs out of time is left where it stands: its nginx must not outlive the run.
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end);
  const stop = async (): Promise<void> => {
    process.off('exit', end);
    end();
    await exited;
    await rm(prefix, { recursive: true, force: true });
  };
  try {
    await until('nginx to listen', () => {
      if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
      return accepts(port);
    });
  } catch (error) {
    const words = await readFile(errorLog, 'utf8').catch(() => '');
    await stop();
    throw new Error(`nginx did not start: ${words}`, { cause: error });
  }
  return {
    root,
    at: (path) => `http://127.0.0.1:${port}${path}`,
    log: async () => parseLog(await readFile(join(prefix, 'access.log'), 'utf8')),
    sent: () => Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid ?? 0}/io`, 'latin1'))?.[1]),
    [Symbol.asyncDispose]: stop,
  };
}

/** One process, and a log line for each request. */
function configuration(port: number, root: string, { limitRate = 0, mostAtOnce, buffers = 'small' }: NginxOptions): string {
  const small = buffers === 'small';
  return `
daemon off;
master_process off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid nginx.pid;
events { worker_connections 256; }
http {
  log_format poste '$request_method|$uri|$http_range|$status|$body_bytes_sent|$connection';
  access_log access.log poste;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  default_type application/octet-stream;
  keepalive_timeout 60;
  ${mostAtOnce === undefined ? '' : 'limit_conn_zone $server_port zone=all:1m;'}
  server {
    listen 127.0.0.1:${port}${small ? ' sndbuf=64k' : ''};
    root ${root};
    etag on;
    ${small ? 'sendfile off; output_buffers 1 64k;' : 'sendfile on; tcp_nopush on;'}
    limit_rate ${limitRate};
    ${mostAtOnce === undefined ? '' : `limit_conn all ${mostAtOnce};`}
  }
}
`;
}

function parseLog(text: string): NginxRequest[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [method = '', path = '', range = '-', status, bodyBytesSent, connection] = line.split('|');
      return {
        method,
        path,
        range: range === '-' ? null : range,
        status: Number(status),
        bodyBytesSent: Number(bodyBytesSent),
        connection: Number(connection),
      };
    });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
