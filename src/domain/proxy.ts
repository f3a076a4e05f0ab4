import type { TaskSecrets } from './task.js';

/** The proxy URL for a target, with its credentials, or `null` for a direct connection. */
export function proxyFor(target: URL, proxy: TaskSecrets['proxy']): string | null {
  const url = target.protocol === 'https:' ? proxy?.https : proxy?.http;
  return url === undefined || goesDirect(target, proxy?.no ?? '') ? null : url;
}

/** Where a connection for `target` goes: the proxy, or the target itself. */
export interface Peer {
  readonly host: string;
  readonly port: number;
}

export function peerFor(target: URL, proxy: TaskSecrets['proxy']): Peer {
  const chosen = proxyFor(target, proxy);
  const { protocol, hostname, port } = chosen !== null && URL.canParse(chosen) ? new URL(chosen) : target;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) };
}

/** As curl reads NO_PROXY: `*`, names that also stand for their subdomains, an optional port. */
function goesDirect(target: URL, list: string): boolean {
  const host = target.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      // What has colons but neither brackets nor a port is an IPv6 address.
      const [, bracketed, name = entry, itsPort = port] = /^(?:\[(.+)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
      const wanted = bracketed ?? name.replace(/^\*?\./, '');
      return itsPort === port && (host === wanted || host.endsWith(`.${wanted}`));
    });
}
