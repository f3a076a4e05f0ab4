// Poste beside its peers: `npm run bench`, or `npm run bench -- NAME…` for some of the works. ROUNDS and SCALE make it shorter or longer.
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { svg } from './chart.js';
import { describeMachine } from './machine.js';
import { section, unmeasured } from './report.js';
import { ROUNDS, SCALE } from './turns.js';
import { WORKS } from './works.js';

const OUT = resolve('test/bench/results');
const names = process.argv.slice(2);
const unknown = names.filter((name) => !WORKS.some((work) => work.name === name));
if (unknown.length > 0) {
  console.error(`no work is called ${unknown.join(', ')}; there are:\n${WORKS.map(({ name, title }) => `  ${name}: ${title}`).join('\n')}`);
  process.exit(2);
}
// Ends what runs and removes what lies in memory: both hang on this process's exit.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

await mkdir(OUT, { recursive: true });
const machine = await describeMachine();
const head = Object.entries(machine).map(([what, value]) => `- ${what}: ${value}`);
process.stdout.write(`# poste and its peers\n\n${head.join('\n')}\n- rounds: ${ROUNDS}, scale: ${SCALE}\n\n`);

for (const work of WORKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  try {
    const results = await work.run();
    process.stdout.write(`${section(work, results)}\n`);
    const { name, title, about, baseline } = work;
    await writeFile(resolve(OUT, `${name}.json`), JSON.stringify({ machine, rounds: ROUNDS, scale: SCALE, name, title, about, baseline, results }, null, 1));
    const chart = work.chart?.(results);
    if (chart !== undefined && chart.series.length > 0) await writeFile(resolve(OUT, `${name}.svg`), svg(chart));
  } catch (error) {
    process.stdout.write(`${unmeasured(work, error instanceof Error ? error.message : String(error))}\n`);
  }
}
