import type { OwnedSession, Serving } from '../store/owned-session.js';
import { endDeliveries, type RecordClaim } from './settle.js';

/** How an owner records a delivery that a dead claimer had all but ended. */
export function recordClaimIn({ journal }: OwnedSession): RecordClaim {
  return async ({ task, path }) => {
    await journal.commit(() => [{ type: 'task.claimed', task, path, by: 'claim' }]);
  };
}

/** What an owner without transfers needs to serve requests. */
export function serving(owned: OwnedSession): Serving {
  return {
    quiesce: () => Promise.resolve(),
    endDeliveries: (session, wanted) => endDeliveries(owned.paths, session, wanted, recordClaimIn(owned)),
  };
}
