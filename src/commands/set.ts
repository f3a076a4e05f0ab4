import { Args } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { printControlled } from '../cli/controlled.js';
import { setFlags, setRequest } from '../cli/set-flags.js';
import { control } from '../session/control.js';

export default class SetCommand extends PosteCommand {
  static override summary = 'Change a session or its tasks while they run.';
  static override description = 'What is said of a task holds for those named, or for all that are unfinished.';
  static override examples = ['<%= config.bin %> <%= command.id %> --limit-rate 500K', "<%= config.bin %> <%= command.id %> 2 --url 'https://example.org/new-link'"];
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name (all that are unfinished)', ignoreStdin: true }) };
  static override flags = setFlags;

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(SetCommand);
    const request = setRequest(taskNames(argv), flags);
    const controlled = await control(this.asking(true), request);
    printControlled('changed', controlled, this.output, Object.keys(request.settings).length > 0 ? this.sessionId : null);
  }
}
