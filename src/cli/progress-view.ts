import type { Observation } from '../session/follow.js';
import type { Session } from '../domain/session.js';
import { eventWords } from './event-text.js';
import { formatEta, formatRate, formatSize } from '../domain/quantities.js';
import { printable } from '../domain/printable.js';

/** Shows what an observer is told. Views fold observations; no work knows a screen. */
export interface ProgressView {
  show(observation: Observation): void | Promise<void>;
  /** Leaves the terminal as it was found. */
  end(): void;
}

/** `--quiet`, and where one JSON object is all that is to be printed. */
export const SILENT_VIEW: ProgressView = { show: () => undefined, end: () => undefined };

const LINE_EVERY_MS = 5000;

/** Plain lines: each event, and every few seconds one line on how far it is. */
export function lineView(write: (line: string) => void, now: () => number): ProgressView {
  let shownAt = now();
  return {
    show: (observation) => {
      if (observation.kind === 'snapshot') {
        write(snapshotLine(observation.view.session, observation.view.state));
      } else if (observation.kind === 'event') {
        const line = eventLine(observation);
        if (line !== null) write(line);
      } else if (observation.kind === 'progress' && now() - shownAt >= LINE_EVERY_MS) {
        shownAt = now();
        write(progressLine(observation));
      }
    },
    end: () => undefined,
  };
}

export function snapshotLine(session: Session, state: string): string {
  return `session ${session.id}: ${state}, ${session.tasks.size} task${session.tasks.size === 1 ? '' : 's'}`;
}

/** The events that people want to see while they watch; the rest is in `poste events`. */
export function eventLine({ event }: Observation & { kind: 'event' }): string | null {
  switch (event.type) {
    case 'session.created':
    case 'session.acknowledged':
    case 'session.changed':
    case 'task.changed':
    case 'task.verifying':
      return null;
    default:
      return `${event.type.replace(/^task\./, '').replace('.', ' ')}  ${eventWords(event)}`.trimEnd();
  }
}

function progressLine({ progress, session }: Observation & { kind: 'progress' }): string {
  const parts = Object.entries(progress.tasks).map(([number, { received, total, bytesPerSecond, etaSeconds }]) => {
    const name = printable(session.tasks.get(Number(number))?.spec.name ?? number, 30);
    const of = total === null ? '' : ` of ${formatSize(total)}`;
    return `${name} ${formatSize(received)}${of}, ${formatRate(bytesPerSecond ?? 0)}, ${formatEta(etaSeconds)} left`;
  });
  return parts.length === 0 ? 'nothing is being transferred' : parts.join('; ');
}
