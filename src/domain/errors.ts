/**
 * Every way poste can fail, by code. The code is the contract (`error.code` in JSON, documented in
 * the man page poste-exit-codes); the text of a message may change. One exit code per error code.
 */
export const EXIT_CODE = {
  internal: 1,
  usage: 2,
  'not-found': 3,
  stalled: 5,
  'gave-up': 5,
  network: 6,
  proxy: 6,
  unfinished: 7,
  'disk-full': 9,
  'owned-elsewhere': 11,
  'destination-exists': 13,
  'destination-unwritable': 14,
  io: 17,
  dns: 19,
  'http-status': 22,
  'malformed-answer': 22,
  redirect: 23,
  auth: 24,
  overloaded: 29,
  checksum: 32,
  'keeps-changing': 33,
  tls: 34,
  'too-large': 36,
  'wrong-size': 22,
  hook: 37,
  worker: 38,
  'no-session': 40,
  'no-task': 41,
  'nothing-to-claim': 41,
  'no-file': 41,
  'claimed-elsewhere': 42,
  cancelled: 44,
  expired: 41,
  damaged: 45,
  'newer-version': 45,
  mixed: 46,
  timeout: 124,
  interrupted: 130,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof EXIT_CODE;

/** The serialisable form of an error: in journals, in answers and in `--json` output. */
export interface ErrorInfo {
  readonly code: ErrorCode;
  /** One line: what happened and what was kept. */
  readonly message: string;
  /** One line: what to do. */
  readonly hint?: string;
  readonly exitCode: number;
  /** True when the same thing may succeed later without anyone changing anything. */
  readonly transient: boolean;
}

export interface ErrorDetail {
  readonly hint?: string;
  readonly transient?: boolean;
  readonly cause?: unknown;
}

/** The only error class that poste throws on purpose. Anything else that surfaces is a bug (exit 1). */
export class PosteError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly transient: boolean;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'PosteError';
    this.code = code;
    this.hint = detail.hint;
    this.transient = detail.transient ?? false;
  }

  get exitCode(): number {
    return EXIT_CODE[this.code];
  }
}

/** Any thrown value as an {@link ErrorInfo}: a system call's failure is `io` or `disk-full`, what else is no PosteError is `internal`. */
export function errorInfo(thrown: unknown): ErrorInfo {
  if (thrown instanceof PosteError) {
    return {
      code: thrown.code,
      message: thrown.message,
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
      exitCode: thrown.exitCode,
      transient: thrown.transient,
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const system = systemError(thrown);
  if (system !== null) return { ...system, message: `${message}; what was recorded before stands`, exitCode: EXIT_CODE[system.code] };
  return { code: 'internal', message, exitCode: EXIT_CODE.internal, transient: false };
}

/** What the operating system refused that nobody on the way had a better word for. */
function systemError(thrown: unknown): { code: ErrorCode; transient: boolean } | null {
  if (!(thrown instanceof Error) || !('syscall' in thrown) || !('code' in thrown)) return null;
  const known = knownCode(String(thrown.code));
  const code = known === 'ENOSPC' || known === 'EDQUOT' ? 'disk-full' : 'io';
  return { code, transient: code === 'disk-full' || isShortage(known) };
}

/** A system error's code as the manual has it: Node has no name for a used up quota, and gives its number on Linux or on macOS. */
export function knownCode(code: string): string {
  return code === 'Unknown system error -122' || code === 'Unknown system error -69' ? 'EDQUOT' : code;
}

/** Whether a system error's code means that this process, or all of them, had too much open or in memory at that moment. */
export function isShortage(code: unknown): boolean {
  return code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM';
}

/** The inverse of {@link errorInfo}: an error that crossed a file is thrown again on this side. A newer poste may have codes of its own. */
export function errorFromInfo(info: ErrorInfo): PosteError {
  return new PosteError(Object.hasOwn(EXIT_CODE, info.code) ? info.code : 'internal', info.message, {
    transient: info.transient,
    ...(info.hint === undefined ? {} : { hint: info.hint }),
  });
}
