import { test } from 'vitest';
import { expectRefused, REFUSED } from '../support/refusals.js';

for (const [what, args] of Object.entries(REFUSED)) {
  test(`${what}: refused with one line, and nothing made`, () => expectRefused(args));
}
