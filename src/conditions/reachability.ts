import { connect } from 'node:net';
import type { Peer } from '../domain/proxy.js';

export interface TroubledPeer extends Peer {
  /** Already known not to be reached. */
  readonly isDown: boolean;
  /** When the try began that says so, any clock: what was found out before is then old. */
  readonly since: number;
}

/** Whether anything answers there. Never rejects. */
type Probe = (peer: Peer, signal: AbortSignal) => Promise<boolean>;

interface Known {
  state: 'unknown' | 'down' | 'up';
  probing: boolean;
  dueAt: number;
  readonly since: number;
}

const PROBE_EVERY_MS = 2000;
const PROBE_LIMIT_MS = 3000;
/** An answer that took so long came to a second packet: the first was lost (RFC 6298, section 2). */
const FIRST_LOST_MS = 1000;
/** Of many hosts in trouble, a few tell as much. */
const MOST_PEERS = 4;
/** A dead first address must not use up the time of a probe. */
const NEXT_ADDRESS_MS = 500;

/**
 * Watches peers that nothing comes from, for the moment from which the network carries again: a wait that was chosen while it did not
 * need not be waited out. A peer that answers at the first probe has another trouble, and is left alone from then on.
 */
export class Reachability {
  readonly #probe: Probe;
  readonly #onBack: () => void;
  readonly #peers = new Map<string, Known>();
  readonly #stop = new AbortController();

  /** `onBack` is called whenever a peer that could not be reached can be. */
  constructor(onBack: () => void, probe: Probe = connects) {
    this.#onBack = onBack;
    this.#probe = probe;
  }

  /** Starts what probes are due. `troubled` are all there are; what is not among them is forgotten. `now` is milliseconds, monotonic. */
  look(troubled: Iterable<TroubledPeer>, now: number): void {
    const named = new Map<string, TroubledPeer>();
    for (const peer of troubled) {
      if (named.size === MOST_PEERS) break;
      const key = `${peer.host} ${peer.port}`;
      if ((named.get(key)?.since ?? -1) < peer.since) named.set(key, peer);
    }
    for (const key of this.#peers.keys()) if (!named.has(key)) this.#peers.delete(key);
    for (const [key, peer] of named) {
      let known = this.#peers.get(key);
      if (known === undefined || (known.state === 'up' && known.since < peer.since)) {
        known = { state: peer.isDown ? 'down' : 'unknown', probing: false, dueAt: now, since: peer.since };
        this.#peers.set(key, known);
      }
      if (known.state === 'up' || known.probing || now < known.dueAt) continue;
      known.probing = true;
      known.dueAt = now + PROBE_EVERY_MS;
      void this.#ask(key, peer, known);
    }
  }

  async #ask(key: string, peer: Peer, known: Known): Promise<void> {
    const askedAt = performance.now();
    const answers = await this.#probe(peer, this.#stop.signal);
    const wasDown = known.state === 'down' || performance.now() - askedAt >= FIRST_LOST_MS;
    known.probing = false;
    known.state = answers ? 'up' : 'down';
    // Forgotten meanwhile, it is nobody's trouble any more.
    if (answers && wasDown && this.#peers.get(key) === known && !this.#stop.signal.aborted) this.#onBack();
  }

  stop(): void {
    this.#stop.abort();
  }
}

/** A refusal is an answer, and so is it to learn that there is no such name. Nothing is sent. */
function connects({ host, port }: Peer, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS });
    const end = (answers: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(answers);
    };
    const giveUp = (): void => {
      end(false);
    };
    const timer = setTimeout(giveUp, PROBE_LIMIT_MS);
    signal.addEventListener('abort', giveUp);
    socket.once('connect', () => {
      end(true);
    });
    socket.on('error', (error) => {
      end(codesOf(error).some((code) => ANSWERS.has(code)));
    });
  });
}

const ANSWERS: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND']);

/** Of several addresses each has failed in its own way. */
function codesOf(error: Error): string[] {
  const all: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return all.flatMap((each) => (each instanceof Error && 'code' in each && typeof each.code === 'string' ? [each.code] : []));
}
