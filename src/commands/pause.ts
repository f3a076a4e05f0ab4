import { Args } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { printControlled } from '../cli/controlled.js';
import { control } from '../session/control.js';

export default class Pause extends PosteCommand {
  static override summary = 'Stop tasks where they are; resume goes on from there.';
  static override description = 'When it returns, no further request is sent. What has arrived is kept.';
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all)', ignoreStdin: true }) };

  override async run(): Promise<void> {
    const { argv } = await this.setUp(Pause);
    printControlled('paused', await control(this.asking(false), { kind: 'pause', names: taskNames(argv) }), this.output);
  }
}
