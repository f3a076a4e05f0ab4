import type { SessionEvent } from '../domain/events.js';
import type { Reason } from '../domain/task.js';
import { reasonJson } from './task-view.js';

/** An event as programs see it: as in the journal, with every time in ISO 8601. */
export function eventJson(event: SessionEvent): object {
  const { seq, time, type, gen, ...rest } = event;
  return { schema: 1, seq, time: new Date(time).toISOString(), type, generation: gen, ...readable(rest) };
}

function readable(fields: Record<string, unknown>): Record<string, unknown> {
  return {
    ...fields,
    ...('reasons' in fields ? { reasons: (fields['reasons'] as readonly Reason[]).map(reasonJson) } : {}),
    ...('reason' in fields && typeof fields['reason'] === 'object' ? { reason: reasonJson(fields['reason'] as Reason) } : {}),
    ...(typeof fields['retryAt'] === 'number' ? { retryAt: new Date(fields['retryAt']).toISOString() } : {}),
  };
}
