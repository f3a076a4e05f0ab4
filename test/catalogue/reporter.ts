import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Reporter, TestModule } from 'vitest/node';

const RESULTS = fileURLToPath(new URL('results/', import.meta.url));

/** Writes down what became of the tests of each file that name a row of the catalogue (`#13` in the title), for the page that is made of it. */
export class CatalogueReporter implements Reporter {
  onTestModuleEnd(module: TestModule): void {
    const file = module.relativeModuleId;
    const tests = [...module.children.allTests()].flatMap((test) => {
      const rows = [...test.fullName.matchAll(/#(\d+)/g)].map(([, row]) => Number(row));
      return rows.length === 0 ? [] : [{ file, rows, state: test.result().state }];
    });
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(`${RESULTS}${file.replaceAll('/', '.')}.json`, `${JSON.stringify(tests, null, 1)}\n`);
  }
}
