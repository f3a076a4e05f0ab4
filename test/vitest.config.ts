import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { CatalogueReporter } from './catalogue/reporter.js';
import { ClosingLine } from './support/closing-line.js';

export default defineConfig({
  test: {
    root: dirname(dirname(fileURLToPath(import.meta.url))),
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    fileParallelism: true,
    // They wait for processes more than they compute: on two cores a third takes a fifth off.
    maxWorkers: availableParallelism() + 1,
    reporters: ['default', new ClosingLine(), new CatalogueReporter()],
  },
});
