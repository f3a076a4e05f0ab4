import { connect, createServer, type Socket } from 'node:net';

/** What becomes of connections on their way through. */
export interface RelayOptions {
  /** Milliseconds in each direction. The first request waits for one round trip more: that of the handshake, which loopback does at once. */
  readonly delayMs?: number;
  /**
   * Bytes per second towards the client, of as many connections as there are rates: each takes the first that is free. Whoever comes when
   * none is gets a 503.
   */
  readonly rates?: readonly number[];
  /** Bytes towards the client after which a connection ends. */
  readonly dropAfter?: number;
}

export interface Relay extends AsyncDisposable {
  /** The URL of the server's `path`, by way of the relay. */
  readonly at: (path: string) => string;
  /** Bytes carried towards clients so far. */
  readonly sent: () => number;
}

/** Kept of each direction at most: what a delay holds under way at 20 MB/s, twice. */
const MOST_HELD = 2 << 20;
/** Who closes a connection and opens the next at once may be seen in another order. */
const GRACE_MS = 20;
const BUSY = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** Carries bytes between clients and a server at a port of 127.0.0.1. It knows nothing of HTTP but how to say that it is busy. */
export async function startRelay(serverPort: number, { delayMs = 0, rates, dropAfter = Infinity }: RelayOptions): Promise<Relay> {
  const sockets = new Set<Socket>();
  const taken = new Set<number>();
  let sent = 0;

  const accept = (client: Socket, hasWaited = false): void => {
    const place = rates === undefined ? 0 : rates.findIndex((_, n) => !taken.has(n));
    if (place < 0 && !hasWaited) {
      setTimeout(accept, GRACE_MS, client, true);
      return;
    }
    if (place < 0) {
      client.once('data', () => client.end(BUSY));
      return;
    }
    taken.add(place);
    client.once('close', () => taken.delete(place));
    const server = keep(connect(serverPort, '127.0.0.1'));
    client.once('close', () => server.destroy());
    server.once('error', () => client.destroy());
    let left = dropAfter;
    carry(client, server, { delayMs, firstDelayMs: 3 * delayMs });
    carry(server, client, {
      delayMs,
      bytesPerSecond: rates?.[place] ?? Infinity,
      write: (chunk) => {
        const part = chunk.subarray(0, left);
        left -= part.length;
        sent += part.length;
        const isTaken = client.write(part);
        if (left === 0) client.end(() => client.destroy());
        return isTaken;
      },
    });
  };
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.setNoDelay(true).on('error', () => undefined).once('close', () => sockets.delete(socket));
  };

  const listener = createServer({ allowHalfOpen: true }, (client) => accept(keep(client)));
  await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the relay has no port');
  return {
    at: (path) => `http://127.0.0.1:${address.port}${path}`,
    sent: () => sent,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

interface Line {
  readonly delayMs: number;
  readonly firstDelayMs?: number;
  readonly bytesPerSecond?: number;
  readonly write?: (chunk: Buffer) => boolean;
}

/** One direction of a connection: what comes in goes out when the line has had time for it, and the delay is over. */
function carry(from: Socket, to: Socket, { delayMs, firstDelayMs = delayMs, bytesPerSecond = Infinity, write = (chunk) => to.write(chunk) }: Line): void {
  /** In order; `null` is the end. */
  const underWay: { readonly due: number; readonly chunk: Buffer | null }[] = [];
  let lineFreeAt = performance.now() + firstDelayMs - delayMs;
  let held = 0;
  let timer: NodeJS.Timeout | null = null;
  const put = (chunk: Buffer | null): void => {
    lineFreeAt = Math.max(lineFreeAt, performance.now()) + (1000 * (chunk?.length ?? 0)) / bytesPerSecond;
    underWay.push({ due: lineFreeAt + delayMs, chunk });
    held += chunk?.length ?? 0;
    pass();
  };
  const pass = (): void => {
    for (let next = underWay[0]; next !== undefined && next.due <= performance.now() && !to.writableNeedDrain; next = underWay[0]) {
      underWay.shift();
      held -= next.chunk?.length ?? 0;
      if (to.writableEnded) continue;
      if (next.chunk === null) to.end();
      else write(next.chunk);
    }
    if (held > MOST_HELD || to.writableNeedDrain) from.pause();
    else from.resume();
    const [next] = underWay;
    if (next === undefined || to.writableNeedDrain || timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      pass();
    }, Math.max(0, next.due - performance.now()));
  };
  from.on('data', put).once('end', () => put(null));
  to.on('drain', pass).once('close', () => clearTimeout(timer ?? undefined));
}
