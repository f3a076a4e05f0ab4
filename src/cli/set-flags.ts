import type { Interfaces } from '@oclif/core';
import { Flags } from '@oclif/core';
import { PosteError } from '../domain/errors.js';
import type { SessionSettings } from '../domain/events.js';
import { parseTime } from '../domain/quantities.js';
import type { Request } from '../domain/requests.js';
import type { TaskConditions, TaskSpec } from '../domain/task.js';
import { newLink } from '../session/new-task.js';
import { commonFlags, WHEN } from './start-flags.js';
import { connections, settings } from './start-request.js';

const AWAY = "('' takes it away)";
const timeOrNone = Flags.custom<number | null>({ helpValue: 'TIME', parse: (text) => Promise.resolve(text === '' ? null : parseTime(text, Date.now())) });

/** What `start` can choose and `set` can change later, and a new link for the same bytes. */
export const setFlags = {
  ...commonFlags,
  discretionary: Flags.boolean({ allowNo: true, summary: 'run when the moment is good, or at any time' }),
  when: Flags.option({ options: WHEN, helpValue: WHEN.join('|'), summary: 'what a good moment is (ac-or-idle)' })(),
  'only-if': Flags.string({ helpValue: 'CMD', summary: `run only while this command exits 0, where the download was started ${AWAY}` }),
  'only-unmetered': Flags.boolean({ allowNo: true, summary: 'run only while the network is not metered, or on any' }),
  by: timeOrNone({ summary: `the conditions of --when relax as this time nears ${AWAY}` }),
  'not-before': timeOrNone({ summary: `do not begin before: 18:00, now+2h, or ISO 8601 ${AWAY}` }),
  url: Flags.string({ helpValue: 'URL', summary: 'a new link for the same bytes; what has arrived is kept (one task only); headers and certificate stay behind when it is another origin' }),
};

type SetFlags = Interfaces.InferredFlags<typeof setFlags>;

/** @throws PosteError `usage` when nothing is to be changed */
export function setRequest(names: readonly string[], flags: SetFlags): Request & { readonly kind: 'set' } {
  const spec: Partial<TaskSpec> = {
    ...(flags.priority === undefined ? {} : { priority: flags.priority }),
    ...(flags.connections === undefined ? {} : { connections: connections(flags.connections) }),
    ...(flags['on-finish'] === undefined ? {} : { onFinish: flags['on-finish'] }),
  };
  const request: Request = {
    kind: 'set',
    names,
    settings: settings(flags) satisfies Partial<SessionSettings>,
    spec,
    conditions: conditions(flags),
    url: flags.url === undefined ? null : newLink(flags.url),
  };
  if (Object.keys({ ...request.settings, ...spec, ...request.conditions }).length === 0 && request.url === null) {
    throw new PosteError('usage', 'nothing to change', { hint: 'say what, for example --limit-rate 2M' });
  }
  return request;
}

/** A flag that was not given is absent, whatever its type says. */
function conditions(flags: Partial<SetFlags>): Partial<TaskConditions> {
  const { discretionary, when, 'only-if': onlyIf, 'only-unmetered': unmetered, by, 'not-before': notBefore } = flags;
  if (discretionary === false && when !== undefined) throw new PosteError('usage', '--no-discretionary and --when contradict each other', { hint: 'give one of them' });
  const moment = when ?? (discretionary === true ? 'ac-or-idle' : discretionary === false ? null : undefined);
  return {
    ...(moment === undefined ? {} : { when: moment }),
    ...(onlyIf === undefined ? {} : { onlyIf: onlyIf === '' ? null : onlyIf }),
    ...(unmetered === undefined ? {} : { unmetered }),
    ...(by === undefined ? {} : { by }),
    ...(notBefore === undefined ? {} : { notBefore }),
  };
}
