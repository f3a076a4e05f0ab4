import type { Reporter, TestCase, TestCollection, TestModule } from 'vitest/node';

/** Says how many tests passed, failed and were skipped, as the very last line of the run; and which one failed or could not run as soon as it does. */
export class ClosingLine implements Reporter {
  /** A run of many minutes may not live to its end, where they are told together. */
  onTestCaseResult(test: TestCase): void {
    const { state, errors } = test.result();
    if (state === 'skipped') process.stdout.write(`skipped: ${test.fullName}\n`);
    for (const { message, actual } of errors ?? []) process.stdout.write(`failed: ${test.fullName}: ${message}${inOneLine(actual)}\n`);
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    let skipped = 0;
    // What failed outside of every test (a file that does not load, a stray rejection) is a failure all the same.
    let failed = errors.length;
    for (const module of modules) {
      const before = failed;
      for (const test of tests(module.children)) {
        if (test === 'passed') passed += 1;
        else if (test === 'failed') failed += 1;
        else skipped += 1;
      }
      if (module.state() === 'failed' && failed === before) failed += 1;
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
    // Other reporters write at the end of the run too: wait for the process to have nothing else to say.
    process.once('exit', () => process.stdout.write(line));
  }
}

/** Characters of it. */
const MOST_SHOWN = 500;

/** What was there in place of what was expected: the message says no more than `[ Array(1) ]` of it. */
function inOneLine(actual: unknown): string {
  return typeof actual === 'string' && actual.includes('\n') ? `: ${actual.slice(0, MOST_SHOWN).replaceAll(/\s+/g, ' ')}` : '';
}

function* tests(collection: TestCollection): Generator<string> {
  for (const test of collection.allTests()) yield test.result().state;
}
