interface Run<T> {
  readonly running: Promise<void>;
  next: Promise<T> | null;
}

/**
 * Does the same work once for all who ask for it at the same time, as a group commit does: who asks while a run for `key` is under way shares
 * the next one, so that each gets a run that began after he asked.
 */
export class Together<T> {
  readonly #act: (key: string) => Promise<T>;
  readonly #runs = new Map<string, Run<T>>();

  constructor(act: (key: string) => Promise<T>) {
    this.#act = act;
  }

  /** Settles as the run does. */
  run(key: string): Promise<T> {
    const known = this.#runs.get(key);
    if (known === undefined) return this.#begin(key);
    known.next ??= known.running.then(() => this.#begin(key));
    return known.next;
  }

  #begin(key: string): Promise<T> {
    const result = this.#act(key);
    const over = (): void => {
      if (run.next === null) this.#runs.delete(key);
    };
    const run: Run<T> = { running: result.then(over, over), next: null };
    this.#runs.set(key, run);
    return result;
  }
}
