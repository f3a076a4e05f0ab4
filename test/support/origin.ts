import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import { ClientGone, Exchange, type Behaviour, type LogEntry, type OriginRequest } from './exchange.js';

export * from './behaviours.js';
export * from './content.js';
export type { Behaviour, Exchange, LogEntry, OriginRequest } from './exchange.js';

/** Chooses what to do with each request. */
export type Script = (request: OriginRequest) => Behaviour | Promise<Behaviour>;

export interface OriginOptions {
  /** PEM texts: speaks TLS with them, and asks whoever connects for a certificate, which nobody has to have. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Called when a request has come, and whenever more of the body of its answer was sent. */
  readonly onSent?: (entry: LogEntry) => void;
  /** Where it is, if not at a free port of 127.0.0.1 here: on another machine, for example. */
  readonly at?: { readonly host: string; readonly port: number; readonly listen: () => Promise<Server> };
}

/**
 * Starts an HTTP/1.1 server on 127.0.0.1 that does, byte by byte, what `script` says; no HTTP library in between.
 * `await using origin = await startOrigin((request) => serve(file, { etag: '"a"' }))`
 */
export async function startOrigin(script: Script, options: OriginOptions = {}): Promise<Origin> {
  const origin = new Origin(script, options);
  await origin.up();
  return origin;
}

export class Origin implements AsyncDisposable {
  /** May be replaced at any time; counts from the next request on. */
  script: Script;
  /** Every request so far, in order. */
  readonly log: LogEntry[] = [];
  /** Connections accepted so far. */
  connections = 0;
  readonly #options: OriginOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;
  #active = 0;
  #failure: Error | null = null;

  constructor(script: Script, options: OriginOptions) {
    this.script = script;
    this.#options = options;
    this.#port = options.at?.port ?? 0;
  }

  /** `http://127.0.0.1:PORT`, without a path. */
  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://${this.#options.at?.host ?? '127.0.0.1'}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Bytes of all bodies sent. */
  get bodyBytesSent(): number {
    return this.log.reduce((sum, entry) => sum + entry.bodyBytesSent, 0);
  }

  /** The URL of `path`, which begins with a slash. */
  at(path: string): string {
    return this.url + path;
  }

  /** Bytes sent beyond one whole copy of a file of `size` bytes. */
  refetched(size: number): number {
    return this.bodyBytesSent - size;
  }

  /** Listens, again on the same port after {@link down}. */
  async up(): Promise<void> {
    const elsewhere = this.#options.at;
    if (elsewhere) {
      this.#server = (await elsewhere.listen()).on('connection', (raw: Socket) => this.#accept(raw));
      return;
    }
    const server = createServer((raw) => this.#accept(raw));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the origin has no port');
    this.#port = address.port;
    this.#server = server;
  }

  /** Resets every connection and refuses new ones, until {@link up}. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    // Node loses a socket that is reset while its FIN waits to be sent: it stays open, and the process never ends.
    for (const socket of this.#sockets) if (socket.writableEnded) socket.destroy(); else socket.resetAndDestroy();
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Ends everything. Throws what a script or a behaviour threw, so that a faulty one never passes for a fault of poste. */
  async close(): Promise<void> {
    await this.down();
    if (this.#failure !== null) throw this.#failure;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(raw: Socket): void {
    this.connections += 1;
    raw.setNoDelay(true);
    this.#sockets.add(raw);
    raw.on('error', () => undefined).once('close', () => this.#sockets.delete(raw));
    const socket = this.#options.tls ? new TLSSocket(raw, { isServer: true, requestCert: true, rejectUnauthorized: false, ...this.#options.tls }) : raw;
    socket.on('error', () => raw.destroy());
    void this.#converse(socket, raw, this.connections).catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      raw.destroy();
    });
  }

  async #converse(socket: Socket, raw: Socket, connection: number): Promise<void> {
    for await (const head of requestHeads(socket)) {
      const clientCertificate = socket instanceof TLSSocket ? commonName(socket.getPeerCertificate()) : null;
      const entry = parseRequest(head, this.log.length + 1, connection, raw.remotePort ?? 0, clientCertificate);
      this.log.push(entry);
      this.#active += 1;
      const onSent = (): void => this.#options.onSent?.(entry);
      try {
        onSent();
        const behaviour = await this.script(entry);
        await behaviour(new Exchange(entry, socket, raw, () => this.#active, onSent));
        if (entry.ended !== 'open') return;
        entry.ended = 'complete';
        if (entry.headers.get('connection') === 'close') socket.end();
      } catch (error) {
        if (!(error instanceof ClientGone)) throw error;
        if (entry.ended === 'open') entry.ended = 'client';
        return;
      } finally {
        this.#active -= 1;
      }
    }
  }
}

/** Of a client that showed no certificate Node says an empty object, whatever its types say. */
function commonName({ subject }: Partial<PeerCertificate>): string | null {
  const name = subject?.CN;
  return typeof name === 'string' ? name : null;
}

/** The heads of the requests that come over a connection, one after the other. Request bodies are not supported. */
async function* requestHeads(socket: Socket): AsyncGenerator<string> {
  const heads: string[] = [];
  let rest = '';
  let over = false;
  let wake = (): void => undefined;
  socket.on('data', (chunk: Buffer) => {
    rest += chunk.toString('latin1');
    for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
      heads.push(rest.slice(0, end));
      rest = rest.slice(end + 4);
    }
    wake();
  });
  socket.once('close', () => {
    over = true;
    wake();
  });
  while (!over) {
    const head = heads.shift();
    if (head !== undefined) yield head;
    else {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}

function parseRequest(head: string, n: number, connection: number, clientPort: number, clientCertificate: LogEntry['clientCertificate']): LogEntry {
  const [requestLine = '', ...lines] = head.split('\r\n');
  const [method = '', path = ''] = requestLine.split(' ');
  const rawHeaders = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const headers = new Map<string, string>();
  for (const [name, value] of rawHeaders) {
    const key = name.toLowerCase();
    const earlier = headers.get(key);
    headers.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get('range') ?? '');
  return {
    n,
    connection,
    clientPort,
    time: Date.now(),
    method,
    path,
    headers,
    rawHeaders,
    range: range ? { start: Number(range[1]), end: range[2] ? Number(range[2]) : null } : null,
    clientCertificate,
    status: null,
    bodyBytesSent: 0,
    ended: 'open',
  };
}
