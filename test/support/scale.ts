/** How many times what a long suite does by default is done: `SCALE=10 npm run storms`. */
export const SCALE = Number(process.env['SCALE'] ?? '1');

/** Says what a long suite came to, on a line of its own that can be found again. */
export function figure(what: string, result: string): void {
  process.stdout.write(`figure: ${what}: ${result}\n`);
}
