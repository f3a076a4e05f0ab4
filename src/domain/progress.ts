/** How a transfer stands this moment. Sizes in bytes. */
export interface TaskProgress {
  readonly received: number;
  readonly total: number | null;
  readonly connections: number;
  readonly bytesPerSecond: number | null;
  readonly etaSeconds: number | null;
}

/** What a worker says of its transfers, by task number; `at` is epoch milliseconds. */
export interface Progress {
  readonly pid: number;
  readonly at: number;
  /** Bytes that its transfers are still to write to the file system `device`; absent in what an earlier poste wrote. */
  readonly needed?: number;
  readonly device?: number | null;
  readonly tasks: Readonly<Record<string, TaskProgress>>;
}

/** Milliseconds after which what a worker said of its transfers is no news: it says it twice a second. */
const LIFETIME = 5000;

export function isNews(progress: Progress, now: number): boolean {
  return now - progress.at < LIFETIME;
}
