import { Args } from '@oclif/core';
import { PosteCommand } from '../cli/command.js';
import { printable } from '../domain/printable.js';
import { verify } from '../session/verify.js';

export default class Verify extends PosteCommand {
  static override summary = 'Compare a claimed file with its receipt.';
  static override description =
    'Reads the whole file and compares its size and SHA-256 with what was received. Exit 0 when they are equal, 32 when not, 41 when the file is not there, 45 for a damaged receipt.';
  static override examples = ["<%= config.bin %> <%= command.id %> \"$(<%= config.bin %> claim --json | jq -r '.claimed[0].receipt')\""];
  static override args = {
    receipt: Args.string({ description: 'the receipt that claim --json names', required: true, ignoreStdin: true }),
    file: Args.string({ description: 'the file, when it is elsewhere by now', ignoreStdin: true }),
  };

  override async run(): Promise<void> {
    const { args } = await this.setUp(Verify);
    const { error, ...verified } = await verify(args.receipt, args.file ?? null, process.cwd());
    if (this.output.json) this.output.object({ schema: 1, ...verified, ...(error === null ? {} : { error }) });
    else if (error === null) this.output.result(`${printable(verified.path)}: ok`);
    else this.output.error(error);
    process.exitCode = error?.exitCode ?? 0;
  }
}
