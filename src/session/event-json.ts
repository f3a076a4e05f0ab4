import type { SessionEvent } from '../domain/events.js';
import { instant } from '../domain/shape.js';
import type { Reason } from '../domain/task.js';
import { reasonJson } from './task-view.js';

/** What the journal tells in epoch milliseconds, wherever it stands in an event. */
const TIMES: ReadonlySet<string> = new Set(['retryAt', 'notBefore', 'by', 'modifiedAt']);

/** An event as programs see it: as in the journal, with every time in ISO 8601 and every duration in seconds. */
export function eventJson(event: SessionEvent): object {
  const { seq, time, type, gen, ...rest } = event;
  return { schema: 1, seq, time: new Date(time).toISOString(), type, generation: gen, ...(readable(rest) as object) };
}

function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return isReason(value) ? reasonJson(value) : Object.fromEntries(Object.entries(value).map(member));
}

function member([name, value]: [string, unknown]): [string, unknown] {
  if (TIMES.has(name) && typeof value === 'number' && instant(value)) return [name, new Date(value).toISOString()];
  if (name.endsWith('Ms') && (typeof value === 'number' || value === null)) return [`${name.slice(0, -2)}Seconds`, value === null ? null : value / 1000];
  return [name, readable(value)];
}

function isReason(value: object): value is Reason {
  return 'since' in value && 'nextCheckAt' in value && instant(value.since) && (value.nextCheckAt === null || instant(value.nextCheckAt));
}
