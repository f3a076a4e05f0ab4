/** Both clocks at one instant, in milliseconds. */
export interface ClockPair {
  /** Since the epoch; goes on while the machine sleeps, and jumps when someone sets it. */
  readonly wall: number;
  /** Since any fixed moment; stands still while the machine sleeps. */
  readonly monotonic: number;
}

const MAX_DISAGREEMENT_MS = 5000;

/** Whether the machine slept between two instants, or its clock was set: after either, nothing seen before is to be relied on. */
export function clocksDisagree(before: ClockPair, after: ClockPair): boolean {
  return Math.abs(after.wall - before.wall - (after.monotonic - before.monotonic)) > MAX_DISAGREEMENT_MS;
}
