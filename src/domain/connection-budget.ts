import { PosteError } from './errors.js';
import { printable } from './printable.js';

/** What downloads have of one server at a moment. */
export interface Held {
  readonly downloads: number;
  /** At least one for each download. */
  readonly connections: number;
}

export const NOTHING_HELD: Held = { downloads: 0, connections: 0 };

/** How many downloads of one server are begun at once without anybody asking for more. */
const FIRST_DOWNLOADS = 6;
const MOST_CONNECTIONS = 16;

/** `POSTE_CONNECTIONS_PER_HOST` (16): connections to one server over all sessions that nobody has asked for. Throws `usage`. */
export function parseBudget(env: Readonly<Record<string, string | undefined>>): number {
  const text = env['POSTE_CONNECTIONS_PER_HOST'];
  if (text === undefined || text === '') return MOST_CONNECTIONS;
  if (!/^[1-9]\d{0,2}$/.test(text)) {
    throw new PosteError('usage', `POSTE_CONNECTIONS_PER_HOST must be a number from 1 to 999, not "${printable(text.slice(0, 200), 40)}"`, {
      hint: `set it to a number such as ${MOST_CONNECTIONS}, or unset it`,
    });
  }
  return Number(text);
}

/**
 * How many connections a download may have, if more are found to help, beside all `others` of its server: what they leave of the budget, or an
 * equal share of it when they have taken more than theirs. Two that want as many as they can get come to half of it each.
 */
export function allowedConnections(budget: number, others: Held): number {
  return Math.max(1, budget - others.connections, Math.floor(budget / (others.downloads + 1)));
}

/** How many downloads of one server a session may have at once, beside those of other sessions: one in any case. */
export function allowedDownloads(budget: number, jobs: number, elsewhere: Held): number {
  return Math.max(1, Math.min(budget, Math.max(FIRST_DOWNLOADS, jobs)) - elsewhere.downloads);
}

export function sumOfHeld(one: Held, other: Held): Held {
  return { downloads: one.downloads + other.downloads, connections: one.connections + other.connections };
}
