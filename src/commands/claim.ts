import { Args, Flags } from '@oclif/core';
import { printPath, reportClaimed } from '../cli/claimed.js';
import { PosteCommand, taskNames } from '../cli/command.js';
import { PosteError } from '../domain/errors.js';
import { parseDuration } from '../domain/quantities.js';
import { claim } from '../session/claim.js';

const CONFLICTS = ['fail', 'rename', 'overwrite'] as const;

export default class Claim extends PosteCommand {
  static override summary = 'Move finished files out of temp and print where they are.';
  static override description =
    'Without --to: the destination recorded at start, else the current directory. Each file is delivered once; ' +
    'the destination never shows a partial file and is never overwritten unasked.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --id backup --to ~/iso/ --wait',
    '<%= config.bin %> <%= command.id %> -0 | xargs -0 sha256sum',
  ];
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all that have finished)', ignoreStdin: true }) };
  static override flags = {
    to: Flags.string({ helpValue: 'DIR|FILE', summary: 'where to: a directory (made if missing when it ends in /), or the file itself' }),
    wait: Flags.boolean({ summary: 'wait until the session has settled, then claim' }),
    'on-conflict': Flags.option({ options: CONFLICTS, default: 'fail' as const, helpValue: CONFLICTS.join('|'), summary: 'when the destination exists' })(),
    timeout: Flags.custom<number>({ helpValue: 'DURATION', parse: (text) => Promise.resolve(parseDuration(text)) })({
      summary: 'exit 124 after waiting so long; the worker goes on',
    }),
    // oclif's type knows only letters; its parser takes any character.
    null: Flags.boolean({ char: '0' as 'a', summary: 'end each path with NUL instead of a newline' }),
  };

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(Claim);
    const end = flags.null ? '\0' : '\n';
    if (flags.to === '') throw new PosteError('usage', '--to: an empty name is no place', { hint: 'leave --to out for the destination given at start, or this directory' });
    const request = {
      names: taskNames(argv),
      to: flags.to ?? null,
      cwd: process.cwd(),
      onConflict: flags['on-conflict'],
      wait: flags.wait,
      timeoutMs: flags.timeout ?? null,
      since: performance.timeOrigin,
    };
    const outcome = await claim(this.asking(false), request, (file) => printPath(file, this.output, end));
    process.exitCode = reportClaimed(this.sessionId, outcome, this.output);
  }
}
