import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PosteError } from '../../src/domain/errors.js';
import { INVISIBLE } from '../../src/domain/printable.js';
import { SCALE } from '../support/scale.js';

/**
 * What a failure prints replays it: `FUZZ_SEED=… FUZZ_PATH=… npm run fuzz -- -t TITLE`, and FUZZ_REPLAY=… where there is a `replayPath`.
 * Without them every run is another one.
 */
const { FUZZ_SEED, FUZZ_PATH, FUZZ_REPLAY } = process.env;
export const COMMANDS_REPLAY = FUZZ_REPLAY === undefined ? {} : { replayPath: FUZZ_REPLAY };
const REPLAY = { ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }), ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }) };

/** Milliseconds for one example: thousands of times what it takes, and far less than a regular expression that backtracks. */
const PATIENCE_MS = 5000;

/** A property that holds for `runs` × `SCALE` examples, each of them in time. Skipped when something is `missing`. */
export function fuzz<Ts extends [unknown, ...unknown[]]>(
  title: string,
  runs: number,
  arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> },
  check: (...example: Ts) => void | Promise<void>,
  { missing = null, patienceMs = PATIENCE_MS }: { missing?: string | null; patienceMs?: number } = {},
): void {
  const longest = 60_000 * Math.max(1, SCALE);
  test.skipIf(missing !== null)(title, { timeout: longest }, async () => {
    const property = fc.asyncProperty(...arbitraries, async (...example) => {
      const startedAt = performance.now();
      await check(...example);
      const took = performance.now() - startedAt;
      if (took > patienceMs) throw new Error(`it took ${Math.round(took)} ms`);
    });
    await fc.assert(property, {
      numRuns: Math.max(1, Math.round(runs * SCALE)),
      // Of one that never ends, too, it is said which one it was.
      timeout: patienceMs,
      interruptAfterTimeLimit: longest - 5000,
      markInterruptAsFailure: true,
      ...REPLAY,
    });
  });
}

/** The result, or `null` for what was refused: properly, in one line that does nothing to a terminal. */
export function resultOf<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(PosteError);
    if (error instanceof PosteError) expectInert(`${error.message} ${error.hint ?? ''}`);
    return null;
  }
}

/** Without half a surrogate pair, so that it can be percent-encoded. */
export function isWellFormed(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}

/** @throws when anything in it would act on a terminal instead of showing */
export function expectInert(text: string): void {
  expect(text.match(INVISIBLE)).toBeNull();
}

/** What people with bad intentions put where text is expected. */
export const NASTY: readonly string[] = [
  ...['\x1b[2J', '\x1b]0;owned\x07', '\x1b]52;c;cm0gLXJm\x07', '\x1bP+q\x1b\\', '\x9b6n', '\x9d0;t\x9c', '\r', '\n', '\r\n', '\x08', '\0', '\x7f', '\x85'],
  ...['\u202e', '\u2066', '\u200b', '\u200f', '\u2028', '\ufeff', '\u{e0041}', '\ud800', '\udc00', '%00', '%1b%5b2J', '%2e%2e%2f', '..', '../', '..\\'],
  ...['/', '\\', ':', ';', ',', '"', "'", '=', '*', '-', '.', ' ', '\t', '%', '(', ')', '<', '>', '&', '|', '?', '#', '@', '[', ']', '{', '}', '~', '`', '$('],
  ...['-rf', '.bashrc', 'CON', 'nul.txt', 'com1', 'C:', 'é', 'e\u0301', '文', '👩‍💻', 'a', '0', '9', '00', '1e9', 'NaN', '-1', '18446744073709551616', '0x10', '９'],
];

/** Any text: noise, pieces of what is nasty, and pieces of what a parser `knows`. */
export function hostileText(...knows: readonly string[]): fc.Arbitrary<string> {
  const piece = fc.oneof(fc.constantFrom(...NASTY), ...(knows.length === 0 ? [] : [{ arbitrary: fc.constantFrom(...knows), weight: 4 }]), fc.string({ maxLength: 4 }));
  return fc.oneof(
    { arbitrary: fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')), weight: 6 },
    { arbitrary: fc.string({ unit: 'binary' }), weight: 1 },
  );
}

/** A few pieces, again and again, as long as a header or a line may get: what makes a bad regular expression run for ever. */
function longText(...knows: readonly string[]): fc.Arbitrary<string> {
  const piece = fc.constantFrom(...NASTY, ...knows);
  return fc
    .record({ start: piece, again: fc.array(piece, { minLength: 1, maxLength: 3 }), end: piece, length: fc.constantFrom(1000, 60_000) })
    .map(({ start, again, end, length }) => {
      const part = again.join('') || ' ';
      return start + part.repeat(Math.ceil(length / part.length)) + end;
    });
}

export function anyText(...knows: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ arbitrary: hostileText(...knows), weight: 29 }, { arbitrary: longText(...knows), weight: 1 });
}
