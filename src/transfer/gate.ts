import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/**
 * Keeps a connection's bytes from undici without undici knowing. Its own pause is not safe: when the other side ends the
 * connection while an answer that ends with it is paused, undici 7 fails an assertion (`!this.paused`) in an event handler,
 * where nobody can catch it, and the process dies. A socket that has nothing to read for a while is nothing new to it, and the
 * socket stops reading by itself when its buffer is full (64 KiB and one read).
 */
export class Gate {
  readonly #socket: Socket;
  #closed = false;
  #wasReset = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const read = socket.read.bind(socket);
    // `read(0)` takes nothing: it is how Node asks for more, and how the end is noticed.
    socket.read = (size?: number): unknown => (this.#closed && size !== 0 ? null : read(size));
    // Before undici's own listeners, which complete a body that ends with its connection in both cases.
    socket.prependListener('error', ({ code }: NodeJS.ErrnoException) => (this.#wasReset ||= code === 'ECONNRESET'));
    // A reset that comes together with the last bytes reaches Node as a proper end; but a reset connection has no peer any more.
    socket.prependListener('end', () => (this.#wasReset ||= socket.remoteAddress === undefined));
  }

  /** The other side broke the connection off: what ended with it did not end properly. */
  get wasReset(): boolean {
    return this.#wasReset;
  }

  /** The address of this machine that the connection was made from. */
  get localAddress(): string | null {
    return this.#socket.localAddress ?? null;
  }

  close(): void {
    this.#closed = true;
  }

  /** Never from inside a callback of undici: what waits is parsed before this returns. */
  open(): void {
    if (!this.#closed) return;
    this.#closed = false;
    if (!this.#socket.destroyed) this.#socket.emit('readable');
  }
}

const gates = new WeakMap<Socket, Gate>();
let starting: ((gate: Gate) => void) | null = null;

// Published with the socket right after a handler's `onRequestStart`, in the same call, and before anything is sent.
subscribe('undici:client:sendHeaders', (message) => {
  const use = starting;
  starting = null;
  // The shape is documented in undici's docs/api/DiagnosticsChannel.md.
  const { socket } = message as { socket: Socket };
  if (use === null) return;
  const gate = gates.get(socket) ?? new Gate(socket);
  gates.set(socket, gate);
  use(gate);
});

/** To be called in `onRequestStart`: `use` gets the gate of the connection that the request goes over. */
export function withGate(use: (gate: Gate) => void): void {
  starting = use;
}
