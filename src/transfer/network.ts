import { readFile } from 'node:fs/promises';
import { Agent, buildConnector, Pool, ProxyAgent, type Dispatcher } from 'undici';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { proxyFor, type Peer } from '../domain/proxy.js';
import type { TaskSecrets, TaskSpec } from '../domain/task.js';
import type { Exchange } from './exchange.js';
import { socketReads } from './socket-reads.js';

const CONNECT_TIMEOUT_MS = 30_000;
/** How long one address of a host may keep the next one waiting: a dead IPv6 route must cost less than a second. */
const NEXT_ADDRESS_MS = 500;

/** undici's own timers are off: they stand still while a body is paused. The watchdog of each request counts instead. */
const CLIENT = { headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: 64 * 1024, keepAliveTimeout: 10_000, pipelining: 1 } as const;

/** Keeps connections alive, shared by all tasks with the same proxy and TLS settings. */
export class Network {
  #dispatchers = new Map<string, Dispatcher>();
  #dropping: Promise<unknown> = Promise.resolve();
  /** Replaced by others: they end what is under way, and take nothing new. */
  readonly #retired = new Set<Dispatcher>();
  readonly #exchanges = new Map<Exchange, Peer>();
  readonly #isLimited: () => boolean;

  /** `isLimited`: whether a rate holds at this moment. */
  constructor(isLimited: () => boolean) {
    this.#isLimited = isLimited;
  }

  /**
   * What sends requests to `url` for a task. `isHome`: it is the origin that the task's credentials are for. Its client certificate is
   * shown there only, so connections that may show it are never shared with other places.
   * @throws PosteError `tls` when one of the task's PEM files cannot be read, `proxy` for a proxy URL that is none.
   */
  async dispatcherFor(url: URL, spec: Pick<TaskSpec, 'caFile' | 'insecure' | 'clientCertificate'>, secrets: TaskSecrets, isHome: boolean): Promise<Dispatcher> {
    const proxy = proxyFor(url, secrets.proxy);
    const own = isHome && url.protocol === 'https:' ? (spec.clientCertificate ?? null) : null;
    const tls: TlsFiles = {
      ...(spec.caFile === null ? {} : { ca: await readPem('certificate authorities', spec.caFile) }),
      ...(own === null ? {} : { cert: await readPem('certificate', own.certFile), key: await readPem('key', own.keyFile) }),
    };
    const key = JSON.stringify([proxy, tls, spec.insecure, own === null ? null : url.origin]);
    let dispatcher = this.#dispatchers.get(key);
    if (dispatcher === undefined) {
      dispatcher = makeDispatcher(proxy, this.#isLimited, { ...tls, rejectUnauthorized: !spec.insecure });
      this.#dispatchers.set(key, dispatcher);
    }
    return dispatcher;
  }

  /** Keeps an eye on an exchange until it is over. */
  watch(exchange: Exchange, peer: Peer): void {
    this.#exchanges.set(exchange, peer);
  }

  /** Where exchanges go from which nothing has come for so long. */
  silentPeers(milliseconds: number): Peer[] {
    return this.#silent(milliseconds).map(([, peer]) => peer);
  }

  /** Ends the silent exchanges that were made from an address which this machine no longer has; true when there were any. */
  dropMoved(milliseconds: number, addresses: ReadonlySet<string>): boolean {
    return this.#drop(this.#silent(milliseconds).filter(([{ localAddress }]) => localAddress !== null && !addresses.has(localAddress)));
  }

  /** The network carries again: what was silent all the while starts anew, and nothing new goes over connections from before. */
  dropSilent(milliseconds: number): void {
    this.#drop(this.#silent(milliseconds));
    for (const dispatcher of this.#dispatchers.values()) {
      this.#retired.add(dispatcher);
      void dispatcher.close().then(() => this.#retired.delete(dispatcher));
    }
    this.#dispatchers = new Map();
  }

  #silent(milliseconds: number): [Exchange, Peer][] {
    for (const exchange of this.#exchanges.keys()) if (exchange.isOver) this.#exchanges.delete(exchange);
    return [...this.#exchanges].filter(([exchange]) => exchange.silentMs >= milliseconds);
  }

  #drop(silent: readonly (readonly [Exchange, Peer])[]): boolean {
    for (const [exchange, { host }] of silent) exchange.abort(new PosteError('network', `the network was away, and with it the connection to ${host}`, { transient: true }));
    return silent.length > 0;
  }

  /** Ends every connection now, and with it the requests on them: after a sleep they lead nowhere. */
  dropSockets(): void {
    const dropped = [...this.#dispatchers.values(), ...this.#retired].map((dispatcher) => dispatcher.destroy());
    this.#dispatchers = new Map();
    this.#retired.clear();
    this.#dropping = Promise.all([this.#dropping, ...dropped]);
  }

  async close(): Promise<void> {
    this.dropSockets();
    await this.#dropping;
  }
}

/** PEM texts. */
interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

async function readPem(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PosteError('tls', `the ${what} in ${printable(path)} cannot be read`, { hint: 'put it back, then `poste retry`', cause: error });
  }
}

function makeDispatcher(proxy: string | null, isLimited: () => boolean, tls: TlsFiles & { readonly rejectUnauthorized: boolean }): Dispatcher {
  const timeouts = { timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS };
  if (proxy === null) {
    const plain = buildConnector({ ...timeouts, ...socketReads(isLimited) });
    const secure = buildConnector({ ...timeouts, ...tls });
    return new Agent({ ...CLIENT, connect: (options, done) => (options.protocol === 'https:' ? secure : plain)(options, done) });
  }
  if (!URL.canParse(proxy)) throw new PosteError('proxy', 'the proxy address is not a URL', { hint: 'check --proxy and HTTPS_PROXY' });
  const { username, password } = new URL(proxy);
  const token = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
  return new ProxyAgent({
    ...CLIENT,
    uri: proxy,
    ...(username === '' && password === '' ? {} : { token }),
    proxyTunnel: false,
    proxyTls: { ...timeouts, rejectUnauthorized: tls.rejectUnauthorized },
    requestTls: { ...timeouts, ...tls },
    factory: (origin, options: Pool.Options) => new Pool(origin, { ...options, ...CLIENT }),
  });
}
