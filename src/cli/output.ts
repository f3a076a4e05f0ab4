import { printable } from '../domain/printable.js';
import { errorInfo, EXIT_CODE, type ErrorInfo } from '../domain/errors.js';

/** How one command speaks: results to stdout, everything else to stderr. */
export interface Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** A result line. */
  result(line: string): void;
  /** The one object of `--json`, or one line of NDJSON. */
  object(value: object): void;
  /** A remark for people; silent with `--quiet` and `--json`. */
  note(line: string): void;
  /** Something that people must see even with `--quiet`. */
  warn(line: string): void;
  /** One of several errors, for people; with `--json` it is in the object. */
  error(error: ErrorInfo): void;
}

export function makeOutput({ json, quiet }: { json: boolean; quiet: boolean }): Output {
  return {
    json,
    quiet,
    result: (line) => {
      process.stdout.write(`${line}\n`);
    },
    object: (value) => {
      process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (line) => {
      if (!quiet && !json) process.stderr.write(`${line}\n`);
    },
    warn: (line) => {
      if (!json) process.stderr.write(`${printable(`poste: ${line}`)}\n`);
    },
    error: (error) => {
      if (!json) process.stderr.write(`${errorLine(error)}\n`);
    },
  };
}

/** One line for people, or one object for programs. Returns the exit code, the same for both. */
export function reportError(thrown: unknown, json: boolean): number {
  const error = errorInfo(thrown);
  if (json) process.stdout.write(`${JSON.stringify({ schema: 1, error })}\n`);
  else process.stderr.write(`${errorLine(error)}\n`);
  if (error.code === 'internal' && process.env['POSTE_DEBUG'] && thrown instanceof Error) process.stderr.write(`${thrown.stack ?? ''}\n`);
  return error.exitCode;
}

/** Whatever a message quotes (a name, a server's words) is inert on a terminal. */
function errorLine({ message, hint }: ErrorInfo): string {
  return printable(`poste: ${message}${hint === undefined ? '' : `; ${hint}`}`);
}

/**
 * A reader that goes away (`| head -1`) ends the command, quietly, with `exitCode`: oclif swallows EPIPE, so that a command
 * that only listens would run on for nobody. Output that cannot be written (`> /dev/full`) ends it too, with a word.
 */
export function endWhenNobodyReads(exitCode: () => number): void {
  for (const stream of [process.stdout, process.stderr]) {
    // Before oclif's own, which throws.
    stream.prependListener('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(exitCode());
      if (stream === process.stdout) process.stderr.write(`poste: the output could not be written (${error.code ?? error.message}); what was done stands\n`);
      process.exit(EXIT_CODE.io);
    });
  }
}
