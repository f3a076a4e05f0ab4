import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { seal, unseal } from '../../src/store/sealed.js';
import { changeLine, markOf } from './marked.js';

/** One way to hurt a file, and how it is called. */
export interface Damage {
  readonly name: string;
  /** `whole` is what the file holds. */
  readonly change: (path: string, whole: Buffer) => Promise<void>;
}

/** Numbers that look random and are the same for the same seed. */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What may stand in a file's place, and what may be in it instead. */
export const REPLACED: readonly Damage[] = [
  { name: 'deleted', change: (path) => rm(path) },
  { name: 'emptied', change: (path) => writeFile(path, '') },
  { name: 'zeros', change: (path, whole) => writeFile(path, Buffer.alloc(whole.length)) },
  { name: 'random bytes', change: (path, whole) => writeFile(path, rubbish(whole.length)) },
  { name: 'JSON of another shape', change: (path) => writeFile(path, '[{"poste": null}]\n') },
  { name: 'a sealed record of another shape', change: (path) => writeFile(path, `${seal({ v: 1, gen: 1, seq: 1, task: 'x', tasks: [], request: {} })}\n`) },
  { name: 'an endless line', change: async (path, whole) => writeFile(path, Buffer.concat([Buffer.alloc(20_000_000, 'x'), whole])) },
  { name: 'a tail of zeros', change: (path, whole) => writeFile(path, Buffer.concat([whole, Buffer.alloc(100_000)])) },
  { name: 'a tail of rubbish', change: (path, whole) => writeFile(path, Buffer.concat([whole, rubbish(500)])) },
  { name: 'twice', change: (path, whole) => writeFile(path, Buffer.concat([whole, whole])) },
  { name: 'a directory', change: (path) => instead(path, () => mkdir(path)) },
  { name: 'a directory with a file', change: (path) => instead(path, () => mkdir(path).then(() => writeFile(`${path}/x`, ''))) },
  { name: 'a FIFO', change: (path) => instead(path, () => execFileSync('mkfifo', [path])) },
  {
    name: 'a symbolic link',
    change: async (path) => {
      await rename(path, `${path}.target`);
      await symlink(`${path}.target`, path);
    },
  },
  { name: 'a dangling symbolic link', change: (path) => instead(path, () => symlink('/nowhere/at/all', path)) },
];

export function truncated(length: number): Damage {
  return { name: `cut to ${length} bytes`, change: (path, whole) => writeFile(path, whole.subarray(0, length)) };
}

function flipped(at: number, bit: number): Damage {
  return {
    name: `bit ${bit} of byte ${at} flipped`,
    change: async (path, whole) => {
      const hurt = Buffer.from(whole);
      hurt[at] = (hurt[at] ?? 0) ^ (1 << bit);
      await writeFile(path, hurt);
    },
  };
}

/** The cuts of a file: at each byte of a short one, at `most` places of a long one. */
export function cuts(size: number, most: number, roll: (below: number) => number): Damage[] {
  const lengths = size <= most ? Array.from({ length: size }, (_, length) => length) : Array.from({ length: most }, () => roll(size));
  return lengths.map(truncated);
}

export function flips(size: number, count: number, roll: (below: number) => number): Damage[] {
  return Array.from({ length: size === 0 ? 0 : count }, () => flipped(roll(size), roll(8)));
}

const STRANGERS = [null, true, -1, 1.5, 1e300, 'x', '', '../../x', [], [null], {}, { x: 1 }];

/** Sealed lines in which one member, however deep, is of another type or not there, and whose checksum holds. */
export function misshapen(whole: string, count: number, roll: (below: number) => number): Damage[] {
  const lines = whole.split('\n');
  const mark = markOf(whole);
  const places = lines.flatMap((line, index) => membersOf(unseal(line) ?? unseal(line, mark)).map((keys) => ({ index, keys })));
  return Array.from({ length: places.length === 0 ? 0 : count }, () => {
    const { index, keys } = places[roll(places.length)] ?? { index: 0, keys: [] };
    const stranger = roll(STRANGERS.length + 1);
    const value = STRANGERS[stranger];
    const changed = lines.map((line, at) => (at === index ? changeLine(line, mark, (record) => replaced(record, keys, value) as object) : line));
    const name = `line ${index + 1}: ${keys.join('.')} is ${stranger < STRANGERS.length ? JSON.stringify(value) : 'gone'}`;
    return { name, change: (path) => writeFile(path, changed.join('\n')) };
  });
}

function membersOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'crc' ? [] : [[key], ...membersOf(inner).map((rest) => [key, ...rest])]));
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((inner: unknown, index) => (String(index) === key ? replaced(inner, rest, by) : inner));
  const { crc: _crc, ...members } = value as Record<string, unknown>;
  return { ...members, [key]: replaced(members[key], rest, by) };
}

async function instead(path: string, put: () => unknown): Promise<void> {
  await rm(path, { recursive: true });
  await put();
}

function rubbish(length: number): Buffer {
  const roll = dice(length + 1);
  return Buffer.from(Array.from({ length }, () => roll(256)));
}
