import { networkInterfaces } from 'node:os';
import { Reachability, type TroubledPeer } from '../conditions/reachability.js';
import { peerFor } from '../domain/proxy.js';
import type { Reason, Task, TaskSecrets } from '../domain/task.js';
import type { Network } from '../transfer/network.js';

/** A connection that has been quiet for so long is looked into. */
const SILENT_MS = 2000;
/** One from an address that this machine does not have any more, sooner. */
const MOVED_MS = 1000;

type WatchedNetwork = Pick<Network, 'dropMoved' | 'dropSilent' | 'silentPeers'>;

/** The last failure of a task that waits to be tried again. */
export interface Failure {
  /** When that try began, milliseconds, monotonic: a clock that is set must not make every failure an old one. */
  readonly triedAt: number;
  /** `unreached`: nothing came back at all. `other`: somebody answered, and did not help. */
  readonly by: 'unreached' | 'network' | 'other';
}

/** What an earlier worker met is not known here: it may have been the network, and was before all that this one sees. */
const UNKNOWN: Failure = { triedAt: 0, by: 'network' };

/** Ends what the network's absence keeps waiting as soon as it is back: silent connections, and back-offs of up to ten minutes. */
export class NetworkWatch {
  readonly #network: WatchedNetwork;
  readonly #reachability: Reachability;
  readonly #onBack: () => void;
  readonly #failures = new Map<number, Failure>();
  /** Milliseconds, monotonic. */
  #backAt = 0;

  constructor(network: WatchedNetwork, onBack: () => void) {
    this.#network = network;
    this.#onBack = onBack;
    this.#reachability = new Reachability(() => {
      network.dropSilent(SILENT_MS);
      this.#isBack();
    });
  }

  failed(task: number, failure: Failure): void {
    this.#failures.set(task, failure);
  }

  /** Once a second or so. */
  look(tasks: Iterable<Task>, secretsOf: (task: number) => TaskSecrets): void {
    if (this.#network.dropMoved(MOVED_MS, ownAddresses())) this.#isBack();
    this.#reachability.look(this.#troubled(tasks, secretsOf), performance.now());
  }

  /** Whether a back-off was chosen for a failure that says nothing any more. */
  isOver(task: Task, { code }: Reason): boolean {
    const failure = this.#failures.get(task.number) ?? UNKNOWN;
    return code === 'backoff' && failure.by !== 'other' && failure.triedAt < this.#backAt;
  }

  stop(): void {
    this.#reachability.stop();
  }

  *#troubled(tasks: Iterable<Task>, secretsOf: (task: number) => TaskSecrets): Iterable<TroubledPeer> {
    for (const peer of this.#network.silentPeers(SILENT_MS)) yield { ...peer, isDown: false, since: 0 };
    for (const { number, state, spec } of tasks) {
      if (state.kind !== 'waiting' || !state.reasons.some(({ code }) => code === 'backoff')) continue;
      const { by, triedAt } = this.#failures.get(number) ?? UNKNOWN;
      const { url, proxy } = secretsOf(number);
      if (by !== 'other') yield { ...peerFor(new URL(url ?? spec.url), proxy), isDown: by === 'unreached', since: triedAt };
    }
  }

  #isBack(): void {
    this.#backAt = performance.now();
    this.#onBack();
  }
}

/** Whether there is no way at all to anybody else: a try that reaches nobody then says nothing of the server. */
export function isOffNetwork(): boolean {
  return Object.values(networkInterfaces()).every((addresses) => (addresses ?? []).every(({ internal }) => internal));
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)));
}
