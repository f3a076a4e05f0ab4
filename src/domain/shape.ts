/**
 * Whether a value that came from a disk is what it is taken for. A checksum tells that nobody altered it since; not that whoever wrote it
 * meant the same by it. What a shape does not name may be there as well: formats are added to.
 */
export type Shape = (value: unknown) => boolean;

export const text: Shape = (value) => typeof value === 'string';
export const flag: Shape = (value) => typeof value === 'boolean';
/** What a flag of a command has become: oclif leaves out those that were not given, and so does what was recorded of them. */
export const choice: Shape = (value) => value === undefined || flag(value);
/** A size, a place in a file, a number of something. */
export const count: Shape = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
export const ordinal: Shape = (value) => count(value) && value !== 0;
/** Milliseconds, bytes a second: no whole number need be. */
export const amount: Shape = (value) => typeof value === 'number' && value >= 0 && value < Infinity;
/** Epoch milliseconds that a `Date` can hold. */
export const instant: Shape = (value) => typeof value === 'number' && Math.abs(value) <= 8.64e15;
export const address: Shape = (value) => typeof value === 'string' && URL.canParse(value);

/** An absolute path: one that is none would lead somewhere else in each process. */
export const place: Shape = (value) => typeof value === 'string' && /^(?:\/|[A-Za-z]:[\\/])/.test(value);
/** A name in a folder, and no way out of it. */
export const fileName: Shape = (value) => typeof value === 'string' && !/^\.{0,2}$|[/\0]/.test(value);

export function oneOf(...values: readonly string[]): Shape {
  return (value) => typeof value === 'string' && values.includes(value);
}

export function either(...shapes: readonly Shape[]): Shape {
  return (value) => shapes.some((shape) => shape(value));
}

export function orNull(shape: Shape): Shape {
  return (value) => value === null || shape(value);
}

/** Of a member that need not be there. */
export function maybe(shape: Shape): Shape {
  return (value) => value === undefined || shape(value);
}

export function listOf(shape: Shape): Shape {
  return (value) => Array.isArray(value) && value.every(shape);
}

/** An object in which each member is of one shape, whatever its name. */
export function tableOf(shape: Shape): Shape {
  return (value) => isObject(value) && Object.values(value).every(shape);
}

export function pairOf(first: Shape, second: Shape): Shape {
  return (value) => Array.isArray(value) && value.length >= 2 && first(value[0]) && second(value[1]);
}

export function record(members: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(members);
  return (value) => isObject(value) && entries.every(([name, shape]) => shape(value[name]));
}

/** The same members, none of which need be there. */
export function partly(members: Readonly<Record<string, Shape>>): Shape {
  return record(Object.fromEntries(Object.entries(members).map(([name, shape]) => [name, maybe(shape)])));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
