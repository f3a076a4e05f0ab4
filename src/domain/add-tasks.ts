import { PosteError } from './errors.js';
import { DEFAULT_SETTINGS, type EventBody, type SessionSettings } from './events.js';
import { printable } from './printable.js';
import type { Decision, Request } from './requests.js';
import { again, canRetry } from './retry-task.js';
import { isParked, type Session } from './session.js';
import { isSettled, type Task, type TaskSecrets, type TaskSpec } from './task.js';

/**
 * The decision about `start`: which of its downloads are new tasks, which the session has already, and what follows for those.
 * @throws PosteError `usage`, `checksum`
 */
export function addTasks(
  id: string,
  session: Session | null,
  requestId: string,
  request: Request & { kind: 'add' },
): Pick<Decision, 'events' | 'secrets' | 'answer'> {
  const events: EventBody[] = [];
  if (session === null) {
    const settings = { ...DEFAULT_SETTINGS, ...request.settings };
    events.push({ type: 'session.created', id, temp: request.temp ?? request.defaultTemp, cwd: request.cwd, settings });
  } else {
    if (request.temp !== null && request.temp !== session.temp) {
      throw new PosteError('usage', `session ${id} keeps its files in ${printable(session.temp)}; --temp-dir is chosen when a session is created`, {
        hint: 'use another --id',
      });
    }
    const changed = Object.entries(request.settings).some(([name, value]) => session.settings[name as keyof SessionSettings] !== value);
    if (changed) events.push({ type: 'session.changed', settings: request.settings });
  }
  const known = session === null ? [] : [...session.tasks.values()];
  const byIdentity = new Map(known.map((task) => [identityOf(task.spec), task]));
  const byRequest = new Map(known.map((task) => [task.request, task]));
  // One that was delivered or ended without a file leaves its destination free; tried again, its claim sees that the place is taken.
  const taking = known.filter((task) => task.state.kind !== 'claimed' && !canRetry(task));
  const destinations = new Map(taking.flatMap(({ spec, number }) => destinationOf(spec, number)));
  const numbers: number[] = [];
  const existing: number[] = [];
  const secrets = new Map<number, TaskSecrets>();
  const addedHere = new Map<string, number>();
  const retried = new Set<number>();
  let next = known.reduce((highest, { number }) => Math.max(highest, number), 0) + 1;
  request.tasks.forEach((asked, index) => {
    const request = `${requestId}#${index}`;
    const identity = identityOf(asked.spec);
    const same = byRequest.get(request) ?? (asked.forceNew ? undefined : byIdentity.get(identity));
    const earlier = same?.number ?? (asked.forceNew ? undefined : addedHere.get(identity));
    if (earlier !== undefined) {
      numbers.push(earlier);
      existing.push(earlier);
      if (same === undefined) return;
      const changed = askedAnew(same, asked.spec);
      if (Object.keys(changed).length > 0) events.push({ type: 'task.changed', task: earlier, spec: changed });
      if (isSettled(same) && !canRetry(same)) return;
      // Given again, it goes on: it ended without a file, or waits for just what was given now.
      if ((canRetry(same) || (isParked(same) && same.state.kind !== 'paused')) && !retried.has(earlier)) events.push(...again(earlier, same.state));
      retried.add(earlier);
      secrets.set(earlier, asked.secrets);
      return;
    }
    for (const [destination, number] of destinationOf(asked.spec, next)) {
      const other = destinations.get(destination);
      if (other !== undefined) {
        throw new PosteError('usage', `two files for one destination: ${printable(destination)} is where task ${other} will go already`, {
          hint: 'give each its own --to or --name',
        });
      }
      destinations.set(destination, number);
    }
    events.push({ type: 'task.added', task: next, request, paused: asked.paused, spec: asked.spec });
    if (Object.keys(asked.secrets).length > 0) secrets.set(next, asked.secrets);
    addedHere.set(identity, next);
    numbers.push(next);
    next += 1;
  });
  return { events, secrets, answer: { ok: true, tasks: numbers, existing } };
}

/**
 * What the same download is asked for that it was not asked for before. What is not said again stays as it was.
 * @throws PosteError `checksum` when its file is here already and is not the one that is wanted now
 */
function askedAnew({ number, spec, state }: Task, asked: TaskSpec): Partial<TaskSpec> {
  const { checksum } = asked;
  const isHere = state.kind === 'finished' || state.kind === 'claimed';
  if (isHere && checksum !== null && (checksum.algorithm !== 'sha256' || checksum.hex !== state.sha256)) {
    throw new PosteError('checksum', `task ${number} is here already, with sha256 ${state.sha256}: that is not known to be what --checksum asks for`, {
      hint: 'start --new fetches it again and compares',
    });
  }
  const said: Partial<TaskSpec> = {
    ...(asked.to === null ? {} : { to: asked.to }),
    ...(asked.label === null ? {} : { label: asked.label }),
    ...(checksum === null ? {} : { checksum }),
    ...(asked.onFinish === null ? {} : { onFinish: asked.onFinish }),
    ...(asked.maxSize === null ? {} : { maxSize: asked.maxSize }),
    ...(asked.expectSize === null ? {} : { expectSize: asked.expectSize }),
    ...(asked.headerNames.length === 0 ? {} : { headerNames: asked.headerNames }),
    ...(asked.clientCertificate ? { clientCertificate: asked.clientCertificate } : {}),
  };
  const differs = Object.entries(said).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(spec[name as keyof TaskSpec]));
  return Object.fromEntries(differs);
}

/** The URL and the name asked for; a name that poste chose does not tell two requests apart. */
function identityOf(spec: TaskSpec): string {
  return spec.namedBy === 'user' ? `${spec.urlHash}/${spec.name}` : spec.urlHash;
}

function destinationOf(spec: TaskSpec, number: number): [string, number][] {
  if (spec.to === null) return [];
  return [[spec.to.endsWith('/') ? spec.to + spec.name : spec.to, number]];
}
