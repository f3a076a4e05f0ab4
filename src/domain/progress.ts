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
  readonly tasks: Readonly<Record<string, TaskProgress>>;
}
