import { Args, Flags } from '@oclif/core';
import { PosteCommand } from '../cli/command.js';
import { startFlags } from '../cli/start-flags.js';
import { startRequest } from '../cli/start-request.js';
import { startedJson, startedText } from '../cli/started.js';
import { waitAndClaim } from '../cli/wait.js';
import { parseDuration } from '../domain/quantities.js';
import { start } from '../session/start.js';

export default class Start extends PosteCommand {
  static override summary = 'Start downloads in the background and return.';
  static override description =
    'Records the tasks durably, makes sure that a worker runs, and prints the session, the tasks and what to type next. ' +
    'The same URL and name again in the same session is the same task.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> https://example.org/big.iso',
    '<%= config.bin %> <%= command.id %> --id backup -i urls.txt --discretionary',
    '<%= config.bin %> <%= command.id %> --wait --to ./data/ --checksum sha256:… https://example.org/data.tar.gz',
  ];
  static override strict = false;
  static override args = { url: Args.string({ description: 'what to download: http or https', ignoreStdin: true }) };
  static override flags = {
    ...startFlags,
    wait: Flags.boolean({ summary: 'stay until they have settled and exit with the outcome; with --to, claim there too' }),
    timeout: Flags.custom<number>({ helpValue: 'DURATION', parse: (text) => Promise.resolve(parseDuration(text)) })({
      summary: 'with --wait: exit 124 after so long; the worker goes on',
      dependsOn: ['wait'],
    }),
  };

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(Start);
    const request = await startRequest(argv, flags, process.env, (line) => {
      this.output.warn(line);
    });
    if (request.tasks.some(({ spec }) => spec.checksum?.algorithm === 'sha1')) {
      this.output.warn('sha1 can be forged: it tells a damaged file, and not a replaced one; sha256 tells both');
    }
    const asking = this.asking(true);
    const started = await start(asking, request);
    if (flags.wait) {
      process.exitCode = await waitAndClaim(asking, started, { to: flags.to ?? null, timeoutMs: flags.timeout ?? null }, this.output);
    } else if (this.output.json) {
      this.output.object(await startedJson(started));
    } else {
      for (const line of startedText(started, this.output)) this.output.result(line);
    }
  }
}
