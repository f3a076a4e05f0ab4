import type { ConditionVerdict } from './conditions.js';
import type { Reason } from './task.js';

/** Whether transfers under one set of conditions may run, with the memory that keeps them from flapping. Times in epoch milliseconds. */
export interface Gate {
  readonly open: boolean;
  /** The last verdict, and since when it has been the same. */
  readonly met: boolean;
  readonly steadySince: number;
  /** When the gate opened or closed within the last hour, oldest first. */
  readonly flips: readonly number[];
  /** When it opens or closes if the verdict stays as it is; `null` when it then stays too. */
  readonly changesAt: number | null;
}

const HOUR = 3_600_000;
const FLIPS_AN_HOUR = 6;

/**
 * The gate after one more verdict. It begins closed, opens after `holdMs` of met verdicts and closes after `holdMs`
 * of unmet ones. It flips at most 6 times in any hour: closing is never delayed, since a transfer that runs on costs
 * money or battery, so the gate opens only when the closing that follows still fits in; until then the wait to open
 * grows, to an hour at most.
 */
export function nextGate(gate: Gate | null, met: boolean, now: number, holdMs: number): Gate {
  const before: Gate = gate ?? { open: false, met, steadySince: now, flips: [], changesAt: null };
  // A clock that was set back must not leave times in the future: nothing would move until then.
  const steadySince = before.met === met ? Math.min(before.steadySince, now) : now;
  const flips = before.flips.map((at) => Math.min(at, now)).filter((at) => at > now - HOUR);
  if (before.open === met) return { open: met, met, steadySince, flips, changesAt: null };
  const tooRecent = before.open ? undefined : flips.at(1 - FLIPS_AN_HOUR);
  const changesAt = Math.max(steadySince + holdMs, tooRecent === undefined ? 0 : tooRecent + HOUR);
  if (changesAt > now) return { open: before.open, met, steadySince, flips, changesAt };
  return { open: met, met, steadySince, flips: [...flips, now], changesAt: null };
}

export interface ReasonInput {
  readonly verdict: ConditionVerdict;
  /** `null` when `verdict.held` is. */
  readonly gate: Gate | null;
  /** A transfer under way is stopped by a closed gate only; one that would begin needs the verdict as well. */
  readonly running: boolean;
  readonly notBefore: number | null;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly pollMs: number;
  readonly holdMs: number;
}

/** Why conditions keep a task from running, in words for `status`; empty when they do not. */
export function conditionReasons({ verdict, gate, running, notBefore, now, pollMs, holdMs }: ReasonInput): Reason[] {
  const heldBack = verdict.held !== null && gate?.open !== true;
  const reasons: Reason[] = [];
  for (const { code, message } of verdict.unmet) {
    if (code === 'offline') reasons.push({ code, message, since: now, nextCheckAt: now + pollMs });
    else if (code === 'not-before') {
      // The verdict is as old as the last look.
      if (notBefore === null || now < notBefore) reasons.push({ code, message, since: now, nextCheckAt: notBefore });
    }
    else if (heldBack || !running) reasons.push({ code, message, since: gate?.steadySince ?? now, nextCheckAt: now + pollMs });
  }
  if (heldBack && verdict.held.met) {
    const since = gate?.steadySince ?? now;
    const opensAt = gate?.changesAt ?? since + holdMs;
    const starts =
      opensAt > since + holdMs
        ? `changed too often in the last hour, starts at ${new Date(opensAt).toISOString()}`
        : `starts when this has lasted for ${holdMs / 1000} s`;
    reasons.push({ code: verdict.held.words.code, message: `${verdict.held.words.message}, ${starts}`, since, nextCheckAt: opensAt });
  }
  return reasons;
}
