import { Args, Flags } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { statusText } from '../cli/status-text.js';
import { watch } from '../cli/watch.js';
import { EXIT_CODE } from '../domain/errors.js';
import { selectTasks } from '../domain/select.js';
import { outcomeCode } from '../session/outcome.js';
import { explainSession } from '../session/explain.js';
import { requireSession, type SessionView } from '../session/read.js';
import { readAllSessions, sessionJson, type SessionJson } from '../session/status.js';

export default class Status extends PosteCommand {
  static override summary = 'Show every session, or one.';
  static override description = 'Changes nothing and starts nothing; works when the worker is dead or stuck.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --id backup --explain'];
  static override strict = false;
  static override args = { task: Args.string({ description: 'a task, by number or file name', ignoreStdin: true }) };
  static override flags = {
    watch: Flags.boolean({ summary: 'show it again every second until interrupted' }),
    explain: Flags.boolean({ summary: 'every condition with its value, source, age and threshold' }),
    'exit-code': Flags.boolean({ summary: "exit with the session's outcome" }),
  };

  override async run(): Promise<void> {
    const { flags, argv } = await this.setUp(Status);
    const names = taskNames(argv);
    const one = flags.id !== undefined || names.length > 0;
    const show = async (): Promise<void> => {
      const { views, errors } = one ? { views: [await requireSession(this.home, this.sessionId)], errors: [] } : await readAllSessions(this.home);
      for (const { message } of errors) this.output.warn(message);
      const sessions: SessionJson[] = [];
      for (const view of views) {
        const only = names.length === 0 ? undefined : selectTasks(view.session, names);
        const shown = await sessionJson(view, only);
        sessions.push(flags.explain ? { ...shown, explain: await explainSession(view, process.env) } : shown);
      }
      if (this.output.json) this.output.object({ schema: 1, home: this.home, sessions });
      else for (const line of statusText(sessions, { home: this.home, detailed: one })) this.output.result(line);
      if (flags['exit-code']) process.exitCode = statusCode(views, names);
    };
    if (flags.watch) await watch(show);
    else await show();
  }
}

function statusCode(views: readonly SessionView[], names: readonly string[]): number {
  const codes = new Set(views.map(({ session }) => outcomeCode(session, selectTasks(session, names))).filter((code) => code !== 0));
  const [only] = codes;
  return codes.size === 0 ? 0 : codes.size === 1 && only !== undefined ? only : EXIT_CODE.mixed;
}
