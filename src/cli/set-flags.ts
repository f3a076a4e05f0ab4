import type { Interfaces } from '@oclif/core';
import { Flags } from '@oclif/core';
import { PosteError } from '../domain/errors.js';
import type { SessionSettings } from '../domain/events.js';
import type { Request } from '../domain/requests.js';
import type { TaskSpec } from '../domain/task.js';
import { newLink } from '../session/new-task.js';
import { commonFlags } from './start-flags.js';
import { connections, settings } from './start-request.js';

/** What `start` can choose and `set` can change later, and a new link for the same bytes. */
export const setFlags = {
  ...commonFlags,
  url: Flags.string({ helpValue: 'URL', summary: 'a new link for the same bytes; what has arrived is kept (one task only); headers and certificate stay behind when it is another origin' }),
};

/** @throws PosteError `usage` when nothing is to be changed */
export function setRequest(names: readonly string[], flags: Interfaces.InferredFlags<typeof setFlags>): Request {
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
    url: flags.url === undefined ? null : newLink(flags.url),
  };
  if (Object.keys(request.settings).length + Object.keys(spec).length === 0 && request.url === null) {
    throw new PosteError('usage', 'nothing to change', { hint: 'say what, for example --limit-rate 2M' });
  }
  return request;
}
