import { Args, Flags } from '@oclif/core';
import { PosteCommand, taskNames } from '../cli/command.js';
import { statusText, TASKS_SHOWN } from '../cli/status-text.js';
import { watch } from '../cli/watch.js';
import { EXIT_CODE } from '../domain/errors.js';
import { selectTasks } from '../domain/select.js';
import type { Task } from '../domain/task.js';
import { outcomeCode } from '../session/outcome.js';
import { explainSession } from '../session/explain.js';
import type { SessionView } from '../session/read.js';
import { readAllSessions, readOneSession, sessionJson, sessionShown, type SessionJson, type UnreadableJson } from '../session/status.js';

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
      const { views, unreadable } = one ? await readOneSession(this.home, this.sessionId) : await readAllSessions(this.home);
      const only = ({ session }: SessionView): readonly Task[] | undefined => (names.length === 0 ? undefined : selectTasks(session, names));
      const explained = async <Shown>(view: SessionView, shown: Shown): Promise<Shown> => (flags.explain ? { ...shown, explain: await explainSession(view, process.env) } : shown);
      if (this.output.json) {
        const json = async (view: SessionView): Promise<SessionJson> => explained(view, await sessionJson(view, only(view)));
        const others = await inTurn(unreadable, async ({ id, error, readable }): Promise<UnreadableJson> => ({ id, error, readable: readable === null ? null : await json(readable) }));
        const [asked] = one ? unreadable : [];
        this.output.object({ schema: 1, home: this.home, sessions: await inTurn(views, json), unreadable: others, ...(asked === undefined ? {} : { error: asked.error }) });
      } else {
        const readable = one ? unreadable.flatMap((session) => session.readable ?? []) : [];
        const shown = await inTurn([...views, ...readable], async (view) => explained(view, await sessionShown(view, one ? Infinity : TASKS_SHOWN, only(view))));
        if (shown.length > 0 || unreadable.length === 0) for (const line of statusText(shown, { home: this.home, detailed: one })) this.output.result(line);
        for (const { id, error } of unreadable) this.output.error({ ...error, message: `${id}: ${error.message}` });
      }
      const unread = unreadable.map(({ error }) => error.exitCode);
      if (flags['exit-code']) process.exitCode = commonCode([...views.map(({ session }) => outcomeCode(session, selectTasks(session, names))), ...unread]);
      else if (one) process.exitCode = commonCode(unread);
    };
    if (flags.watch) await watch(show);
    else await show();
  }
}

async function inTurn<From, To>(values: readonly From[], change: (value: From) => Promise<To>): Promise<To[]> {
  const changed: To[] = [];
  for (const value of values) changed.push(await change(value));
  return changed;
}

function commonCode(all: readonly number[]): number {
  const codes = new Set(all.filter((code) => code !== 0));
  const [only] = codes;
  return codes.size === 0 ? 0 : codes.size === 1 && only !== undefined ? only : EXIT_CODE.mixed;
}
