import { crc32 } from 'node:zlib';

/**
 * One JSON object on one line that knows whether it is whole: its last member is the CRC-32 of what stands before it.
 * Lines of the journal, requests, answers and secrets are written this way, so that rubbish is never taken for state. With a `mark` it is a
 * line of that file only: after a power cut a file system may show what another file had in its place.
 */
export function seal(record: object, mark = ''): string {
  const text = JSON.stringify(record);
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}"crc":"${checksum(text, mark)}"}`;
}

/** The object that was sealed, or `null` when the line is torn, altered in any way, or was sealed with another mark. */
export function unseal(line: string, mark = ''): Record<string, unknown> | null {
  const at = line.lastIndexOf('"crc":"');
  if (at < 1 || !line.endsWith('"}')) return null;
  const text = `${line.slice(0, line[at - 1] === ',' ? at - 1 : at)}}`;
  if (line.slice(at + 7, -2) !== checksum(text, mark)) return null;
  try {
    const record: unknown = JSON.parse(text);
    return typeof record === 'object' && record !== null && !Array.isArray(record) ? (record as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function checksum(text: string, mark: string): string {
  return crc32(text, mark === '' ? 0 : crc32(mark)).toString(16).padStart(8, '0');
}
