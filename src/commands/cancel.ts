import { Args, Flags } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { printControlled } from '../cli/controlled.js';
import { control } from '../session/control.js';

export default class Cancel extends PosteCommand {
  static override summary = 'End tasks that have not finished.';
  static override description =
    'When it returns, no further request is sent. What has arrived is kept, so that retry can go on from there, unless --purge is given.';
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all that are unfinished)', ignoreStdin: true }) };
  static override flags = { purge: Flags.boolean({ summary: 'delete what has arrived; with a task named, a finished file too' }) };

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(Cancel);
    printControlled('cancelled', await control(this.asking(false), { kind: 'cancel', names: taskNames(argv), purge: flags.purge }), this.output);
  }
}
