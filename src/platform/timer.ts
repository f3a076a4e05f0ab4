/** The longest that a timer of Node waits, milliseconds: beyond it, it fires at once. */
const LONGEST = 2 ** 31 - 1;

/** What a timer may be given of a time that a user chose: 24 days at most. */
export function timerMs(milliseconds: number): number {
  return Math.min(milliseconds, LONGEST);
}
