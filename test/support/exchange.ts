import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** One request as it came over the wire. */
export interface OriginRequest {
  /** 1, 2, … over the origin's life. */
  readonly n: number;
  /** 1, 2, … in the order that connections were accepted. */
  readonly connection: number;
  /** The port that the client's side of it has. */
  readonly clientPort: number;
  readonly time: number;
  readonly method: string;
  /** As sent: an absolute URL when the client takes this origin for a proxy. */
  readonly path: string;
  /** Lower-case names; repeated ones are joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly rawHeaders: readonly (readonly [string, string])[];
  /** The single byte range asked for; `end` is inclusive, `null` means to the end of the file. */
  readonly range: { readonly start: number; readonly end: number | null } | null;
}

/** What became of a request: the log of these is what tests judge by. */
export interface LogEntry extends OriginRequest {
  /** The common name that the client showed; `null` for none. */
  readonly clientCertificate: string | null;
  /** `null` until a status line was sent. */
  status: number | null;
  /** Bytes of the body that the system took for sending; a client that goes away may not have read the last of them. */
  bodyBytesSent: number;
  /** `client`: the other side closed first. */
  ended: 'open' | 'complete' | 'fin' | 'rst' | 'client';
}

/** What an origin does with one request. */
export type Behaviour = (exchange: Exchange) => Promise<void>;

/** The client closed its side; ends a behaviour quietly. */
export class ClientGone extends Error {}

const SLICE_BYTES = 64 * 1024;
const SLICES_PER_SECOND = 50;

/** One request and the means to answer it, byte by byte. */
export class Exchange {
  readonly request: OriginRequest;
  /** How many requests the origin is answering now, this one included. */
  readonly active: () => number;
  readonly #entry: LogEntry;
  readonly #socket: Socket;
  readonly #raw: Socket;
  readonly #onSent: () => void;

  /** `raw` is the TCP socket below `socket`, the same one without TLS. `onSent` is called after each piece of the body. */
  constructor(entry: LogEntry, socket: Socket, raw: Socket, active: () => number, onSent: () => void) {
    this.request = entry;
    this.active = active;
    this.#entry = entry;
    this.#socket = socket;
    this.#raw = raw;
    this.#onSent = onSent;
  }

  /** Sends a status line and headers as given; nothing is added. */
  async head(status: number, headers: readonly (readonly [string, string])[], version = '1.1'): Promise<void> {
    this.#entry.status = status;
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    await this.write(Buffer.from(`HTTP/${version} ${status} Scripted\r\n${lines}\r\n`, 'latin1'));
  }

  /** Sends part of the body; `framed` puts each slice on the wire (as a chunk, say). Counted as body bytes. */
  async body(bytes: Buffer, { bytesPerSecond = Infinity, framed = (slice: Buffer) => slice } = {}): Promise<void> {
    const slice = Math.max(1, Math.min(SLICE_BYTES, Math.ceil(bytesPerSecond / SLICES_PER_SECOND)));
    const startedAt = Date.now();
    for (let at = 0; at < bytes.length; at += slice) {
      const due = startedAt + (at / bytesPerSecond) * 1000;
      if (due > Date.now()) await this.pause(due - Date.now());
      const part = bytes.subarray(at, at + slice);
      await this.write(framed(part));
      this.#entry.bodyBytesSent += part.length;
      this.#onSent();
    }
  }

  /** Sends bytes that count as nothing but themselves. Throws {@link ClientGone}. */
  async write(bytes: Buffer): Promise<void> {
    if (this.#socket.destroyed) throw new ClientGone();
    await new Promise<void>((resolve, reject) => {
      const gone = (): void => reject(new ClientGone());
      this.#socket.once('close', gone);
      this.#socket.write(bytes, (error) => {
        this.#socket.off('close', gone);
        if (error) gone();
        else resolve();
      });
    });
  }

  /** Sends nothing for `ms`; for good when `Infinity`. Throws {@link ClientGone} as soon as the client closes. */
  async pause(ms: number): Promise<void> {
    if (this.#socket.destroyed) throw new ClientGone();
    const over = new AbortController();
    const gone = (): void => over.abort();
    this.#socket.once('close', gone);
    const longest = 2 ** 31 - 1;
    try {
      await delay(Math.min(ms, longest), undefined, { signal: over.signal });
    } catch {
      throw new ClientGone();
    } finally {
      this.#socket.off('close', gone);
    }
  }

  /** Ends the connection: `fin` after what was written (TLS: without close_notify), `rst` at once. */
  async close(how: 'fin' | 'rst'): Promise<void> {
    this.#entry.ended = how;
    if (how === 'rst') this.#raw.resetAndDestroy();
    else if (this.#raw === this.#socket) await new Promise<void>((resolve) => this.#raw.end(resolve));
    else this.#raw.destroy();
  }
}
