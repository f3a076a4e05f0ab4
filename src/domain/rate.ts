/** How fast a transfer has been lately. Immutable: {@link sampled} gives the next one. */
export interface Rate {
  /** Of the last sample: epoch or monotonic milliseconds, and bytes received in all. */
  readonly at: number;
  readonly bytes: number;
  /** Smoothed; `null` until two samples were seen. */
  readonly bytesPerSecond: number | null;
}

/** The past fades with this time constant, so that a number on a screen neither jumps nor lags. */
const MEMORY_MS = 5_000;

export function startRate(at: number, bytes: number): Rate {
  return { at, bytes, bytesPerSecond: null };
}

/** Takes a sample: the exponential moving average for samples at uneven times. A step back of clock or bytes starts anew. */
export function sampled(rate: Rate, at: number, bytes: number): Rate {
  const elapsed = at - rate.at;
  if (elapsed < 0 || bytes < rate.bytes) return startRate(at, bytes);
  if (elapsed === 0) return rate;
  const now = ((bytes - rate.bytes) * 1000) / elapsed;
  const fade = Math.exp(-elapsed / MEMORY_MS);
  return { at, bytes, bytesPerSecond: rate.bytesPerSecond === null ? now : fade * rate.bytesPerSecond + (1 - fade) * now };
}

/** Whole seconds until `total`; `null` when nobody can tell. */
export function etaSeconds(rate: Rate, total: number | null): number | null {
  if (total === null || rate.bytesPerSecond === null || rate.bytesPerSecond < 1) return null;
  return Math.max(0, Math.ceil((total - rate.bytes) / rate.bytesPerSecond));
}
