/** The JSON that poste promises (`"schema": 1`), as far as tests look at it. Written from the contract, not from the code. */
export interface TaskAnswer {
  readonly task: number;
  readonly url: string;
  readonly name: string;
  readonly label: string | null;
  readonly state: string;
  readonly bytesReceived: number;
  readonly bytesExpected: number | null;
  readonly attempts: number;
  readonly resumable: boolean | null;
  readonly evidence: string | null;
  readonly waiting: readonly ReasonAnswer[];
  readonly error: ErrorAnswer['error'] | null;
  readonly file: string | null;
  readonly sha256: string | null;
  readonly to: string | null;
  readonly claimedTo: string | null;
  readonly claimedBy: string | null;
}

export interface ReasonAnswer {
  readonly code: string;
  readonly message: string;
  readonly since: string;
  readonly nextCheckAt: string | null;
}

export interface StartAnswer {
  readonly schema: 1;
  readonly id: string;
  readonly worker: { readonly pid: number } | null;
  readonly tasks: readonly (TaskAnswer & { readonly existing: boolean })[];
  readonly claimed?: ClaimAnswer['claimed'];
}

export interface SessionAnswer {
  readonly id: string;
  readonly generation: number;
  readonly state: string;
  readonly worker: { readonly pid: number; readonly startedAt: string } | null;
  readonly discretionary: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly waiting: readonly ReasonAnswer[];
  readonly tasks: readonly TaskAnswer[];
}

export interface StatusAnswer {
  readonly schema: 1;
  readonly home: string;
  readonly sessions: readonly SessionAnswer[];
}

export interface ClaimAnswer {
  readonly schema: 1;
  readonly id: string;
  readonly claimed: readonly {
    readonly task: number;
    readonly name: string;
    readonly from: string;
    readonly path: string;
    readonly size: number;
    readonly sha256: string;
    readonly receipt: string;
  }[];
  readonly failed: readonly { readonly task: number; readonly error: ErrorAnswer['error'] }[];
}

export interface ErrorAnswer {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly exitCode: number;
    readonly transient: boolean;
  };
}

/** A line of `attach --json`, of `events --json` or of the journal. */
export interface EventAnswer {
  readonly seq?: number;
  readonly time: string;
  readonly type: string;
  readonly task?: number;
  readonly [more: string]: unknown;
}
