import { Flags } from '@oclif/core';
import { PosteCommand } from '../cli/command.js';
import { eventText } from '../cli/event-text.js';
import { eventJson } from '../session/event-json.js';
import { readEvents } from '../session/events.js';

export default class Events extends PosteCommand {
  static override summary = "Print a session's journal.";
  static override examples = ['<%= config.bin %> <%= command.id %> --id backup', '<%= config.bin %> <%= command.id %> --json --since 12'];
  static override flags = { since: Flags.integer({ min: 0, default: 0, helpValue: 'N', summary: 'from event N on' }) };

  override async run(): Promise<void> {
    const { flags } = await this.setUp(Events);
    for (const event of await readEvents(this.home, this.sessionId, flags.since)) {
      if (this.output.json) this.output.object(eventJson(event));
      else this.output.result(eventText(event));
    }
  }
}
