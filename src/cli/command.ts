import { Command, Flags, type Interfaces } from '@oclif/core';
import { parseSessionId } from '../domain/ids.js';
import { PosteError } from '../domain/errors.js';
import { checkHome, homePath, sessionIds } from '../session/home.js';
import { askingFor, type Asking } from '../session/ask.js';
import { makeOutput, type Output } from './output.js';

export type FlagsOf<T extends typeof Command> = Interfaces.InferredFlags<(typeof PosteCommand)['baseFlags'] & T['flags']>;
export type ArgsOf<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/** What every command shares: the common flags, where the state is, and how it speaks. */
export abstract class PosteCommand extends Command {
  static override baseFlags = {
    id: Flags.string({
      summary: 'the session ($POSTE_ID, else "default")',
      helpValue: 'ID',
      parse: (text) => Promise.resolve(parseSessionId(text)),
    }),
    json: Flags.boolean({ summary: 'print one JSON object (attach and events: one a line)' }),
    quiet: Flags.boolean({ char: 'q', summary: 'print results and errors only' }),
    'no-color': Flags.boolean({ summary: 'no colours (also: NO_COLOR)' }),
  };

  protected output: Output = makeOutput({ json: false, quiet: false });
  protected home = '';
  #id: string | undefined;

  /** Parses the command line. Nothing has been read or created before, and nothing is created by it. */
  protected async setUp<T extends typeof Command>(command: T): Promise<{ flags: FlagsOf<T>; args: ArgsOf<T>; argv: string[] }> {
    const parsed = await this.parse<FlagsOf<T>, FlagsOf<T>, ArgsOf<T>>({
      flags: command.flags,
      baseFlags: (command as unknown as typeof PosteCommand).baseFlags,
      args: command.args,
      strict: command.strict,
    } as Interfaces.Input<FlagsOf<T>, FlagsOf<T>, ArgsOf<T>>);
    const { id, json, quiet } = parsed.flags as { id?: string; json: boolean; quiet: boolean };
    this.output = makeOutput({ json, quiet });
    this.home = homePath(process.env);
    this.#id = id;
    await checkHome(this.home);
    if ('task' in command.args) await this.#checkNames(parsed.argv as string[]);
    return { flags: parsed.flags, args: parsed.args, argv: parsed.argv as string[] };
  }

  /** `poste status backup` is what people type for `--id backup`. */
  async #checkNames([name, ...others]: readonly string[]): Promise<void> {
    if (name === undefined || others.length > 0 || this.#id !== undefined || process.env['POSTE_ID']) return;
    const ids = await sessionIds(this.home);
    if (!ids.includes(name) || ids.includes(this.sessionId)) return;
    throw new PosteError('no-session', `there is no session ${this.sessionId}, and so no task ${name} in it`, { hint: `--id ${name} is the session of that name` });
  }

  /** `--id`, else `$POSTE_ID`, else `default`. */
  protected get sessionId(): string {
    return this.#id ?? (process.env['POSTE_ID'] ? parseSessionId(process.env['POSTE_ID']) : 'default');
  }

  protected asking(needsWorker: boolean): Asking {
    return askingFor(this.home, this.sessionId, needsWorker);
  }

  /** Errors end in one place, `main`; oclif's own way changes exit codes and dumps its configuration with `--json`. */
  protected override catch(error: Error): Promise<never> {
    throw error;
  }
}

/** The positional arguments as given. Flags that follow a stray `-` were refused by the parser already. */
export function taskNames(argv: readonly string[]): string[] {
  for (const name of argv) {
    if (name === '') throw new PosteError('usage', 'a task is named by its number or its file name; an empty name is neither');
  }
  return [...argv];
}
