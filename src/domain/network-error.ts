import { PosteError } from './errors.js';
import { printable } from './printable.js';

export interface NetworkFault {
  readonly code: string | undefined;
  readonly message: string;
  /** `host[:port]` that was asked. */
  readonly host: string;
  /** The head of the answer had arrived. */
  readonly answered: boolean;
  readonly viaProxy: boolean;
}

const DNS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA', 'ESERVFAIL', 'ETIMEOUT']);
const TLS = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|ERR_TLS_|INVALID_CA|PATH_LENGTH|ERR_SSL_|ERR_OSSL_|EPROTO|CRL_)/;

/** Nothing came back at all: the way there is broken, or nobody is at its end. */
const UNREACHED = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'EAI_AGAIN', 'ETIMEOUT']);

/** Whether an error of {@link networkError} says that the peer could not be reached at all. */
export function saysUnreached(error: unknown): boolean {
  return error instanceof PosteError && typeof error.cause === 'string' && UNREACHED.has(error.cause);
}

/** How undici's parser errors begin; up to 7.30 their `code` is always undefined. */
const NOT_HTTP = 'Response does not match the HTTP/1.1 protocol';

/** What the network did, in poste's own terms. A certificate that does not fit and an answer that is not HTTP stay so; the rest passes. */
export function networkError(fault: NetworkFault): PosteError {
  const { code = '', host, answered, viaProxy } = fault;
  const detail = printable(fault.message);
  if (viaProxy && /Proxy .*407|\(407\)/.test(fault.message)) {
    return new PosteError('auth', 'the proxy wants to know who asks (407)', { hint: 'give the proxy with its user and password' });
  }
  if (viaProxy && (code === 'UND_ERR_ABORTED' || /^Proxy response/.test(fault.message))) {
    return new PosteError('proxy', `the proxy did not connect to ${host}: ${detail}`, { transient: true });
  }
  if (viaProxy && DNS.has(code)) {
    return new PosteError('proxy', `the name of the proxy, or of ${host} behind it, could not be resolved (${code})`, { transient: true, cause: code });
  }
  if (DNS.has(code)) return new PosteError('dns', `the name of ${host} could not be resolved (${code})`, { transient: true, cause: code });
  if (code === 'UND_ERR_PRX_TLS' || TLS.test(code)) {
    return new PosteError('tls', `the TLS connection to ${host} was refused: ${detail}`, {
      hint: 'check the address and the clock; --cacert names a private authority',
      transient: code === 'ERR_TLS_HANDSHAKE_TIMEOUT',
    });
  }
  const isTruncation = fault.message.startsWith(`${NOT_HTTP} (Invalid EOF state)`) || (answered && code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH');
  if (isTruncation) return new PosteError('network', `${host} closed the connection before the end`, { transient: true });
  if (isMalformed(code, fault.message)) {
    return new PosteError('malformed-answer', `what ${host} sent is not a proper HTTP answer: ${detail}`, { transient: answered });
  }
  const what = /ECONNREFUSED/.test(code) ? 'refuses connections' : 'cannot be reached or dropped the connection';
  return new PosteError(viaProxy && !answered ? 'proxy' : 'network', `${viaProxy ? 'the proxy or ' : ''}${host} ${what} (${code || detail})`, {
    transient: true,
    cause: code,
  });
}

function isMalformed(code: string, message: string): boolean {
  if (message.startsWith(NOT_HTTP) || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return true;
  return code === 'UND_ERR_SOCKET' && (message === 'bad response' || message === 'bad upgrade');
}
