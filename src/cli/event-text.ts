import type { SessionEvent } from '../domain/events.js';
import { printable } from '../domain/printable.js';
import { formatSize } from '../domain/quantities.js';

/** One line for people: when, which event, what. Nothing in it can act on a terminal. */
export function eventText(event: SessionEvent): string {
  const time = new Date(event.time).toISOString().slice(0, 19).replace('T', ' ');
  return `${time}Z  ${String(event.seq).padStart(4)}  ${event.type.padEnd(20)}  ${eventWords(event)}`.trimEnd();
}

/** What an event says, without its name. */
export function eventWords(event: SessionEvent): string {
  const said = words(event);
  return printable('task' in event ? `task ${event.task}${said === '' ? '' : `: ${said}`}` : said);
}

function words(event: SessionEvent): string {
  switch (event.type) {
    case 'session.created':
      return `session ${event.id}, files in ${event.temp}`;
    case 'session.changed':
      return Object.entries(event.settings)
        .map(([name, value]) => `${name} ${value === null ? 'off' : String(value)}`)
        .join(', ');
    case 'session.settled':
      return Object.entries(event.counts)
        .map(([state, count]) => `${count} ${state}`)
        .join(', ');
    case 'session.acknowledged':
      return `up to event ${event.upTo}`;
    case 'session.forgetting':
      return 'will be forgotten when it is done';
    case 'session.forgotten':
      return '';
    case 'worker.started':
      return `process ${event.pid}, version ${event.version}`;
    case 'worker.exited':
      return `process ${event.pid}: ${event.reason}`;
    case 'task.added':
      return `${event.spec.name} from ${event.spec.url}${event.paused ? ' (paused)' : ''}`;
    case 'task.changed':
      return Object.keys(event.spec).join(', ');
    case 'task.started':
      return event.offset > 0 ? `try ${event.attempt}, goes on at ${formatSize(event.offset)}` : `try ${event.attempt}`;
    case 'task.answered':
      return answerWords(event);
    case 'task.waiting':
      return event.reasons.map(({ code, message }) => `${message} [${code}]`).join('; ');
    case 'task.retrying':
      return `${event.error.message}; tried again ${until(event.reason.nextCheckAt)}`;
    case 'task.restarted':
      return `begun again: ${event.reason} (${formatSize(event.bytesDropped)} set aside)`;
    case 'task.verifying':
      return 'all bytes are here; checking them';
    case 'task.finished':
      return `${event.name}, ${formatSize(event.size)}, sha256 ${event.sha256}`;
    case 'task.failed':
      return event.error.hint === undefined ? event.error.message : `${event.error.message}; ${event.error.hint}`;
    case 'task.claimed':
      return event.path === null ? `taken by the ${event.by}` : `to ${event.path}${event.by === 'hook' ? ' by a hook' : ''}`;
    case 'task.resumed':
      return event.now ? 'now, whatever the conditions' : '';
    case 'task.retried':
    case 'task.paused':
    case 'task.cancelled':
    case 'task.expired':
      return '';
    case 'hook.started':
      return `on-${event.hook}, run ${event.run}`;
    case 'hook.finished':
      return `on-${event.hook}: ${event.message}${event.retryAt === null ? '' : `; run again ${until(event.retryAt)}`}`;
    default:
      // A later poste may know more kinds.
      return '';
  }
}

function answerWords({ name, representation }: SessionEvent & { type: 'task.answered' }): string {
  const size = representation.total === null ? 'of unknown size' : formatSize(representation.total);
  const proof = representation.resumable ? `can be resumed (${representation.evidence})` : 'cannot be resumed: a break begins it again';
  return `${name}, ${size}, ${proof}`;
}

function until(time: number | null): string {
  return time === null ? 'when someone says so' : `at ${new Date(time).toISOString().slice(11, 19)}Z`;
}
