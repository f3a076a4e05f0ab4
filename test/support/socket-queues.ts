import { readFileSync } from 'node:fs';

/**
 * Bytes that the system holds of connections to `port` of 127.0.0.1, taken for sending and not yet read at the other end: by the client's port.
 * Read at once, without giving way to anything else in this process.
 */
export function heldBytes(port: number): ReadonlyMap<number, number> {
  const held = new Map<number, number>();
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/);
    const [sending = 0, unread = 0] = queues.split(':').map((hex) => Number.parseInt(hex, 16));
    if (portOf(remote) === port) held.set(portOf(local), (held.get(portOf(local)) ?? 0) + unread);
    else if (portOf(local) === port) held.set(portOf(remote), (held.get(portOf(remote)) ?? 0) + sending);
  }
  return held;
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}
