// Makes test/FAULTS.md from what the tests that were run last have shown. A row that no test has shown is an error, so that none goes missing.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FAULTS } from './faults.js';

const PAGE = fileURLToPath(new URL('../FAULTS.md', import.meta.url));
const RESULTS = new URL('results/', import.meta.url);

const ROOT = new URL('../../', import.meta.url);
const tests = readdirSync(RESULTS)
  .flatMap((name) => JSON.parse(readFileSync(new URL(name, RESULTS), 'utf8')))
  .filter(({ file }) => existsSync(new URL(file, ROOT)));
const unshown = [];

/** What the tests of a row came to, and where they are. */
function shownBy(row) {
  const own = tests.filter(({ rows }) => rows.includes(row));
  const files = new Map();
  for (const { file } of own) files.set(file, (files.get(file) ?? 0) + 1);
  const where = [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, count]) => `\`${file.replace(/^test\//, '')}\`${count > 1 ? ` (${count})` : ''}`);
  const count = (state) => own.filter((test) => test.state === state).length;
  const result = count('failed') > 0 ? 'FAILED' : count('passed') === 0 ? 'NOT SHOWN' : count('skipped') > 0 ? `passed, ${count('skipped')} skipped` : 'passed';
  if (count('failed') > 0 || count('passed') === 0) unshown.push(row);
  return { where: where.join('<br>'), result };
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*');
const sections = Object.entries(FAULTS).map(([group, rows]) => {
  const lines = rows.map(([row, fault, behaviour]) => {
    const { where, result } = shownBy(row);
    return `| ${row} | ${cell(fault)} | ${cell(behaviour)} | ${where} | ${result} |`;
  });
  return [`## ${group}`, '', '| # | fault | what poste does | tests | result |', '|---|---|---|---|---|', ...lines, ''].join('\n');
});
const page = `# What poste survives

Made by \`npm run faults\` from the last run of the tests, \`npm test\` and \`npm run test:long\`: each names its rows in its title. Not to be edited.

${sections.join('\n')}`;

if (unshown.length > 0) {
  console.error(`no passing test shows: row ${unshown.join(', ')}`);
  process.exitCode = 1;
}
writeFileSync(PAGE, page);
