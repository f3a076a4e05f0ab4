import { Flags } from '@oclif/core';
import { PosteCommand } from '../cli/command.js';
import { control } from '../session/control.js';

export default class Forget extends PosteCommand {
  static override summary = 'End a session: remove its record, and the space it takes.';
  static override description = 'Refused while something is unfinished or unclaimed, unless one of the flags says what is to become of it. A download that is started in the session before --when-done --purge has come about takes that back.';
  static override flags = {
    'when-done': Flags.boolean({ exclusive: ['cancel'], summary: 'later, when everything has settled and was claimed' }),
    cancel: Flags.boolean({ summary: 'cancel what is unfinished' }),
    purge: Flags.boolean({ summary: 'delete finished files that nobody has claimed' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.setUp(Forget);
    const mode = flags['when-done'] ? 'when-done' : flags.cancel ? 'cancel' : 'settled';
    const { gone } = await control(this.asking(false), { kind: 'forget', mode, purge: flags.purge });
    if (this.output.json) this.output.object({ schema: 1, id: this.sessionId, forgotten: gone });
    else this.output.note(gone ? `session ${this.sessionId} is forgotten` : `session ${this.sessionId} will be forgotten when it is done`);
  }
}
