import { peerFor, proxyFor } from '../domain/proxy.js';
import { headersFor, isAtHome, isRedirect, nextHop, type HeaderPair } from '../domain/redirect.js';
import { readAnswer, single, type Answer, type HeaderFields } from '../domain/answer.js';
import { tlsProof, type TlsProof } from '../domain/provenance.js';
import type { TaskSecrets, TaskSpec } from '../domain/task.js';
import { Exchange } from './exchange.js';
import type { Network } from './network.js';

/** A range to ask for: `end` is exclusive, `null` for all the rest; no range at all as `null`. */
export interface Wanted {
  readonly range: { readonly start: number; readonly end: number | null } | null;
  readonly ifRange: string | null;
}

/** An answer that is no redirect, its body still waiting. */
export interface Asked {
  readonly exchange: Exchange;
  readonly answer: Answer;
  readonly fields: HeaderFields;
  readonly statusText: string;
  /** `host[:port]` of each redirect, then of the answer. */
  readonly hosts: readonly string[];
  readonly tls: TlsProof;
  /** How long it took to come, redirects and all. */
  readonly answerMs: number;
}

const DEFAULT_USER_AGENT = 'poste';

/**
 * Asks the task's own URL, never where it led before (signed targets expire), and follows redirects.
 * @throws PosteError as {@link Exchange}, {@link nextHop} and {@link readAnswer} do; the signal's reason when it aborts.
 */
export async function ask(
  spec: TaskSpec,
  secrets: TaskSecrets,
  wanted: Wanted,
  network: Network,
  signal: AbortSignal,
): Promise<Asked> {
  const began = performance.now();
  const chain = [new URL(secrets.url ?? spec.url)];
  for (;;) {
    signal.throwIfAborted();
    const url = chain.at(-1) ?? new URL(spec.url);
    const dispatcher = await network.dispatcherFor(url, spec, secrets, isAtHome(chain));
    signal.throwIfAborted();
    const exchange = new Exchange(dispatcher, {
      url,
      headers: requestHeaders(headersFor(chain, secrets.headers ?? []), spec, wanted),
      stallTimeoutMs: spec.stallTimeoutMs,
      viaProxy: proxyFor(url, secrets.proxy) !== null,
      signal,
    });
    network.watch(exchange, peerFor(url, secrets.proxy));
    const { status, statusText, fields } = await exchange.head;
    if (isRedirect(status)) {
      exchange.discard();
      chain.push(nextHop(chain, single(fields, 'location')));
      continue;
    }
    try {
      const tls = tlsProof(chain.map(({ protocol }) => protocol), spec.insecure);
      return { exchange, answer: readAnswer(status, fields), fields, statusText, hosts: chain.map(({ host }) => host), tls, answerMs: performance.now() - began };
    } catch (error) {
      exchange.discard();
      throw error;
    }
  }
}

function requestHeaders(given: readonly HeaderPair[], spec: TaskSpec, { range, ifRange }: Wanted): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const add = (name: string, value: string): void => {
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  };
  for (const [name, value] of given) add(name, value);
  headers['user-agent'] ??= spec.userAgent ?? DEFAULT_USER_AGENT;
  headers['accept'] ??= '*/*';
  headers['accept-encoding'] = 'identity';
  if (range !== null) headers['range'] = `bytes=${range.start}-${range.end === null ? '' : range.end - 1}`;
  if (ifRange !== null) headers['if-range'] = ifRange;
  return headers;
}
