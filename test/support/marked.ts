import { seal, unseal } from '../../src/store/sealed.js';

/** What the first line of a journal, or of the record of a part, says that the others are sealed with. */
export function markOf(text: string): string {
  const mark = unseal(text.slice(0, Math.max(0, text.indexOf('\n'))))?.['mark'];
  return typeof mark === 'string' ? mark : '';
}

/** The line of such a file, changed, and sealed as it was; what cannot be read stays as it is. */
export function changeLine(line: string, mark: string, change: (record: Record<string, unknown>) => object): string {
  const plain = unseal(line);
  if (plain !== null) return seal(change(plain));
  const record = unseal(line, mark);
  return record === null ? line : seal(change(record), mark);
}
