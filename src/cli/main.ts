import { Errors, run } from '@oclif/core';
import { fileURLToPath } from 'node:url';
import { PosteError } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import { keepToOwner } from '../platform/umask.js';
import { endWhenNobodyReads, reportError } from './output.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs one command line and leaves its exit code in `process.exitCode`. */
export async function main(argv: string[]): Promise<void> {
  keepToOwner();
  endWhenNobodyReads(() => (typeof process.exitCode === 'number' ? process.exitCode : 0));
  // oclif looks it up in /etc/passwd otherwise, and dies where the user has no line there: in a container with a number for a user.
  process.env['SHELL'] ??= '/bin/sh';
  try {
    await run(withHelp(argv), { root: ROOT });
  } catch (error) {
    if (error instanceof Errors.ExitError) {
      process.exitCode = error.oclif.exit ?? 0;
      return;
    }
    process.exitCode = reportError(asUsage(error), wantsJson(argv));
  }
}

/** Nothing at all asks for help, and so does `help COMMAND`. */
function withHelp(argv: string[]): string[] {
  const [first, ...rest] = argv;
  return first === undefined || first === 'help' ? [...rest, '--help'] : argv;
}

/** What the parser of oclif refuses is a usage error; its message may run over several lines. */
function asUsage(error: unknown): unknown {
  if (error instanceof PosteError) return error.message.startsWith('Parsing --') ? flagError(error) : error;
  if (!(error instanceof Errors.CLIError)) return error;
  const [message = ''] = error.message.split('\nSee more help')[0]?.split('\n\n') ?? [];
  const line = message
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '' && part !== 'The following error occurred:' && !part.startsWith('Parsing --'))
    .join(' ')
    // The parser repeats what it does not know as it was typed: of a misspelt --header that is the header.
    .replace(/^(Nonexistent flags?: [^=]*=).*$/s, '$1…');
  const flag = /^Parsing (--\S+)/m.exec(message)?.[1];
  return new PosteError('usage', printable(`${flag === undefined ? '' : `${flag}: `}${line}`.replace(/\.$/, '')), { hint: 'see --help' });
}

/** oclif writes around the message of what a flag's parser throws: `Parsing --id \n\t… \nSee more help with --help`. */
function flagError({ code, message, hint, transient }: PosteError): PosteError {
  const [, flag, own] = /^Parsing (--\S+) \n\t(.*)\nSee more help with --help$/s.exec(message) ?? [];
  const said = flag === undefined || own === undefined ? message : `${flag}: ${own}`;
  return new PosteError(code, said, { transient, ...(hint === undefined ? {} : { hint }) });
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}
