import { Args } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { printControlled } from '../cli/controlled.js';
import { control } from '../session/control.js';

export default class Retry extends PosteCommand {
  static override summary = 'Try again at once: failed tasks, and those that wait for their next try.';
  static override description = 'A cancelled or expired task is tried again when it is named; a query, a password or headers that it had were dropped with it and are to be given again.';
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all that failed or wait)', ignoreStdin: true }) };

  override async run(): Promise<void> {
    const { argv } = await this.setUp(Retry);
    printControlled('tried again', await control(this.asking(true), { kind: 'retry', names: taskNames(argv) }), this.output);
  }
}
