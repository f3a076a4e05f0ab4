import { PosteCommand } from '../cli/command.js';
import { restore } from '../session/restore.js';

export default class Restore extends PosteCommand {
  static override summary = 'Start a worker for each interrupted session.';
  static override description = 'For after a reboot or a log-out: every session that has work left and no worker goes on.';

  override async run(): Promise<void> {
    const { flags } = await this.setUp(Restore);
    const { restored, failed } = await restore(this.home, flags.id ?? null);
    if (this.output.json) this.output.object({ schema: 1, restored, failed });
    else {
      for (const id of restored) this.output.result(id);
      for (const { error } of failed) this.output.error(error);
      if (restored.length + failed.length === 0) this.output.note('no session is interrupted');
    }
    process.exitCode = failed[0]?.error.exitCode ?? 0;
  }
}
