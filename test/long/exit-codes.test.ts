import { test } from 'vitest';
import { expectOutcome, OUTCOMES } from '../support/outcomes.js';

for (const [what, outcome] of Object.entries(OUTCOMES)) {
  test(`${what}: exit ${outcome.code}`, () => expectOutcome(outcome));
}
