import { Flags } from '@oclif/core';
import { attach } from '../cli/attach.js';
import { PosteCommand } from '../cli/command.js';
import { PosteError } from '../domain/errors.js';
import { parseDuration } from '../domain/quantities.js';

export default class Attach extends PosteCommand {
  static override summary = 'Watch a session: what was missed, then live, until it has settled.';
  static override description =
    'Shows every event that nobody has acknowledged, then goes live, and exits with the outcome. A session whose worker died is revived. ' +
    'Ctrl-C detaches: the transfer goes on.';
  static override examples = ['<%= config.bin %> <%= command.id %> --id backup', '<%= config.bin %> <%= command.id %> --json | jq .type'];
  static override flags = {
    since: Flags.string({ helpValue: 'N|start|now', summary: 'replay from event N, from the start, or nothing (what nobody has acknowledged)' }),
    ack: Flags.boolean({ summary: 'acknowledge what was shown' }),
    revive: Flags.boolean({ default: true, allowNo: true, summary: 'start a worker again if the last one died; without it: exit 7' }),
    timeout: Flags.custom<number>({ helpValue: 'DURATION', parse: (text) => Promise.resolve(parseDuration(text)) })({
      summary: 'exit 124 after so long; the worker goes on',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.setUp(Attach);
    process.exitCode = await attach(
      this.asking(true),
      { since: since(flags.since), ack: flags.ack, revive: flags.revive, timeoutMs: flags.timeout ?? null },
      this.output,
    );
  }
}

function since(text: string | undefined): number | 'unacknowledged' | 'now' {
  if (text === undefined) return 'unacknowledged';
  if (text === 'now') return 'now';
  if (text === 'start') return 0;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new PosteError('usage', '--since takes an event number, "start" or "now"');
}
