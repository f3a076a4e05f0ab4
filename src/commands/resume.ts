import { Args, Flags } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { printControlled } from '../cli/controlled.js';
import { control } from '../session/control.js';

export default class Resume extends PosteCommand {
  static override summary = 'Let paused tasks go on.';
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all)', ignoreStdin: true }) };
  static override flags = { now: Flags.boolean({ summary: 'ignore the conditions this once (recorded)' }) };

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(Resume);
    printControlled('resumed', await control(this.asking(true), { kind: 'resume', names: taskNames(argv), now: flags.now }), this.output);
  }
}
