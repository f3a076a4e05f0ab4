/** What a connection reads beyond its own stretch, to be compared with what another one brings of it. */
export const TAIL_BYTES = 16 * 1024;

/** Who brings bytes behind a seam: the connection that ends there, a little beyond its end, or the one that begins there. */
export type Side = 'before' | 'behind';

interface Seam {
  readonly bytes: Buffer;
  /** So many of them have come. */
  known: number;
  /** Who has brought all of them. */
  readonly sides: Set<Side>;
}

/**
 * Where the stretches of connections meet. Either may come there first: what it brought of the bytes behind the seam is remembered, and what
 * the other one brings must be the same.
 */
export class Seams {
  readonly #seams = new Map<number, Seam>();

  /** `chunk` is at `position` of the file. False when it is not what came from the other side of the seam at `offset`. */
  agree(side: Side, offset: number, position: number, chunk: Buffer): boolean {
    const from = position - offset;
    if (chunk.length === 0 || from < 0 || from >= TAIL_BYTES) return true;
    let seam = this.#seams.get(offset);
    if (seam === undefined) {
      if (from > 0) return true;
      seam = { bytes: Buffer.alloc(TAIL_BYTES), known: 0, sides: new Set() };
      this.#seams.set(offset, seam);
    }
    const to = Math.min(from + chunk.length, TAIL_BYTES);
    const compared = Math.max(from, Math.min(to, seam.known));
    if (!chunk.subarray(0, compared - from).equals(seam.bytes.subarray(from, compared))) return false;
    // Each side brings its bytes in their order, so that there is no hole.
    if (from <= seam.known && to > seam.known) {
      chunk.copy(seam.bytes, compared, compared - from, to - from);
      seam.known = to;
    }
    if (to === TAIL_BYTES) seam.sides.add(side);
    if (seam.sides.size === 2) this.#seams.delete(offset);
    return true;
  }
}
