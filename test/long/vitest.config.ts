import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { CatalogueReporter } from '../catalogue/reporter.js';
import { ClosingLine } from '../support/closing-line.js';
import { SCALE } from '../support/scale.js';

/** What takes minutes: the same few things, a great many times. `SCALE` multiplies how many. */
export default defineConfig({
  test: {
    root: dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
    include: ['test/long/**/*.test.ts'],
    testTimeout: 40 * 60_000 * Math.max(1, SCALE),
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    fileParallelism: true,
    maxWorkers: 2,
    reporters: ['default', new ClosingLine(), new CatalogueReporter()],
  },
});
