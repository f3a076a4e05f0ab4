import { readFile } from 'node:fs/promises';
import { Agent, Pool, ProxyAgent, type Dispatcher } from 'undici';
import { PosteError } from '../domain/errors.js';
import { proxyFor } from '../domain/proxy.js';
import type { TaskSecrets, TaskSpec } from '../domain/task.js';

const CONNECT_TIMEOUT_MS = 30_000;
/** How long one address of a host may keep the next one waiting: a dead IPv6 route must cost less than a second. */
const NEXT_ADDRESS_MS = 500;

/** undici's own timers are off: they stand still while a body is paused. The watchdog of each request counts instead. */
const CLIENT = { headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: 64 * 1024, keepAliveTimeout: 10_000, pipelining: 1 } as const;

/** Keeps connections alive, shared by all tasks with the same proxy and TLS settings. */
export class Network {
  #dispatchers = new Map<string, Dispatcher>();
  #dropping: Promise<unknown> = Promise.resolve();

  /**
   * What sends requests to `url` for a task.
   * @throws PosteError `tls` when the task's CA file cannot be read, `proxy` for a proxy URL that is none.
   */
  async dispatcherFor(url: URL, spec: Pick<TaskSpec, 'caFile' | 'insecure'>, secrets: TaskSecrets): Promise<Dispatcher> {
    const proxy = proxyFor(url, secrets.proxy);
    const ca = spec.caFile === null ? undefined : await readAuthorities(spec.caFile);
    const key = JSON.stringify([proxy, ca, spec.insecure]);
    let dispatcher = this.#dispatchers.get(key);
    if (dispatcher === undefined) {
      dispatcher = makeDispatcher(proxy, { ...(ca === undefined ? {} : { ca }), rejectUnauthorized: !spec.insecure });
      this.#dispatchers.set(key, dispatcher);
    }
    return dispatcher;
  }

  /** Ends every connection now, and with it the requests on them: after a sleep they lead nowhere. */
  dropSockets(): void {
    const dropped = [...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy());
    this.#dispatchers = new Map();
    this.#dropping = Promise.all([this.#dropping, ...dropped]);
  }

  async close(): Promise<void> {
    this.dropSockets();
    await this.#dropping;
  }
}

async function readAuthorities(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PosteError('tls', `the certificate authorities in ${path} cannot be read`, { cause: error });
  }
}

function makeDispatcher(proxy: string | null, tls: { readonly ca?: string; readonly rejectUnauthorized: boolean }): Dispatcher {
  const timeouts = { timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS };
  if (proxy === null) return new Agent({ ...CLIENT, connect: { ...timeouts, ...tls } });
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
