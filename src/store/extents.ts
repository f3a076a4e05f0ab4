import { randomBytes } from 'node:crypto';
import { addExtent, clipExtents, type Extent } from '../domain/segments.js';
import { PosteError } from '../domain/errors.js';
import { count, either, flag, listOf, maybe, orNull, pairOf, record, text, type Shape } from '../domain/shape.js';
import { isProvenance, type Provenance } from '../domain/provenance.js';
import type { Known } from '../domain/verdict.js';
import { seal, unseal } from './sealed.js';

/** Of the format of extents files. */
export const VERSION = 1;

/** What the bytes of a part file are bytes of. */
export interface PartHeader extends Known {
  readonly provenance: Provenance;
  /** How often the remote file changed under this download, over all generations of its part. */
  readonly changes: number;
}

/** The record of a part file: what is on disk of which version. */
export interface PartRecord {
  /** Of this file alone; empty in one that an older poste wrote. */
  readonly mark: string;
  readonly header: PartHeader;
  /** Survives a killed process. */
  readonly written: readonly Extent[];
  /** Survives a power cut. */
  readonly durable: readonly Extent[];
  /** What was fetched a second time last, and found equal. */
  readonly compared: Extent | null;
}

/**
 * The extents file: sealed JSON lines, only ever appended to. The last `part` line holds; the ranges are
 * `[start, end)` in bytes. Whatever comes after a damaged line is not believed, nor is a line of another file: all but the `part` lines are
 * sealed with the file's mark.
 */
export type ExtentLine =
  | { readonly v: number; readonly boot: string; readonly mark?: string; readonly part: PartHeader }
  | { readonly w: readonly [number, number] }
  | { readonly d: readonly (readonly [number, number])[] }
  | { readonly c: readonly [number, number] }
  /** A sync failed: only what was durable before it still counts. */
  | { readonly back: true };

const span: Shape = (value) => {
  const [start = 1, end = 0] = pairOf(count, count)(value) ? (value as number[]) : [];
  return start <= end;
};

const header = record({
  total: orNull(count),
  validators: record({ etag: orNull(text), opaque: maybe(orNull(text)), lastModified: orNull(text), dateIsStrong: flag }),
  hasWeakEtag: flag,
  contentType: orNull(text),
  contentEncoding: orNull(text),
  changes: count,
  provenance: isProvenance,
});

const isLine = either(record({ v: count, boot: text, mark: maybe(text), part: header }), record({ w: span }), record({ d: listOf(span) }), record({ c: span }), record({ back: flag }));

/** Of a file in which nothing is yet, with a mark that no other has. */
export function emptyRecord(header: PartHeader): PartRecord {
  return { mark: randomBytes(4).toString('hex'), header, written: [], durable: [], compared: null };
}

export function extentLine(line: ExtentLine, mark: string): string {
  return `${'v' in line ? seal({ ...line, ...(mark === '' ? {} : { mark }) }) : seal(line, mark)}\n`;
}

/** A record as the shortest file that says the same. */
export function formatRecord(record: PartRecord, boot: string): string {
  return [
    extentLine({ v: VERSION, boot, part: record.header }, record.mark),
    extentLine({ d: record.durable.map(pair) }, record.mark),
    ...record.written.map((extent) => extentLine({ w: pair(extent) }, record.mark)),
    ...(record.compared === null ? [] : [extentLine({ c: pair(record.compared) }, record.mark)]),
  ].join('');
}

/**
 * Reads an extents file. Under another boot id than `boot` only the durable marks count; nothing counts beyond `length`,
 * the part file's real size. `null` when not even the first line is whole.
 * @throws PosteError `newer-version` when a later poste wrote it.
 */
export function parseRecord(text: string, boot: string, length: number): PartRecord | null {
  let header: PartHeader | null = null;
  let writtenBoot = '';
  let mark = '';
  let written: readonly Extent[] = [];
  let durable: readonly Extent[] = [];
  let compared: Extent | null = null;
  for (const line of text.split('\n')) {
    const sealed = unseal(line) ?? unseal(line, mark);
    if (typeof sealed?.['v'] === 'number' && sealed['v'] > VERSION) {
      throw new PosteError('newer-version', 'this download was begun by a newer poste; its bytes are kept', { hint: 'use that version' });
    }
    if (!isLine(sealed)) break;
    const record = sealed as unknown as ExtentLine;
    if ('v' in record) {
      if (header !== null && (record.mark ?? '') !== mark) break;
      header = record.part;
      mark = record.mark ?? '';
      writtenBoot = record.boot;
    } else if ('w' in record) written = addExtent(written, extent(record.w));
    else if ('d' in record) durable = record.d.map(extent);
    else if ('c' in record) compared = extent(record.c);
    else written = durable;
  }
  if (header === null) return null;
  const sameBoot = writtenBoot === boot;
  durable = clipExtents(durable, length);
  return {
    mark,
    header,
    written: sameBoot ? clipExtents(durable.reduce(addExtent, written), length) : durable,
    durable,
    compared: sameBoot ? compared : null,
  };
}

export function pair({ start, end }: Extent): readonly [number, number] {
  return [start, end];
}

function extent([start, end]: readonly [number, number]): Extent {
  return { start, end };
}
