import cliProgress from 'cli-progress';
import stringWidth from 'string-width';
import type { Session } from '../domain/session.js';
import { printable } from '../domain/printable.js';
import type { Progress } from '../domain/progress.js';
import { formatEta, formatRate, formatSize } from '../domain/quantities.js';
import { isSettled, type Task } from '../domain/task.js';
import { waitingReasons } from '../session/task-view.js';
import { eventLine, snapshotLine, type ProgressView } from './progress-view.js';

const BAR_WIDTH = 20;
const NAME_WIDTH = 24;
const SHORTEST_NAME = 8;
/** What else stands in a row: number, percent, rate, time left, and what is between them. */
const OTHER_COLUMNS = 34;
const REPAINTS_PER_SECOND = 5;
const ERASE_TO_END_OF_LINE = '\x1b[K';

interface Row {
  readonly text: string;
}

/**
 * Bars on a real terminal: one for each task that moves or waits, as many as there are rows, and a line for the others.
 * cli-progress keeps the screen; what a row says is decided here (its own ETA jumps, and more bars than rows garble).
 */
export function barView(stream: NodeJS.WriteStream): ProgressView {
  const multibar = new cliProgress.MultiBar({
    stream,
    format: (_options, _params, payload: Row) => payload.text,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    forceRedraw: true,
    fps: REPAINTS_PER_SECOND,
    emptyOnZero: true,
    linewrap: false,
  });
  const bars: cliProgress.SingleBar[] = [];
  let session: Session | null = null;
  let progress: Progress | null = null;
  let isPainted = true;

  // A line above the bars is written over one of them: what it does not cover must go.
  const log = (line: string): void => {
    multibar.log(`${fit(line, stream.columns)}${ERASE_TO_END_OF_LINE}\n`);
  };
  const paint = (): void => {
    if (session === null || isPainted) return;
    isPainted = true;
    const rows = rowsFor(session, progress, Math.max(1, stream.rows - 2), stream.columns);
    while (bars.length > rows.length) {
      const last = bars.pop();
      if (last !== undefined) multibar.remove(last);
    }
    rows.forEach((row, index) => {
      const bar = bars[index];
      if (bar !== undefined) bar.update(0, row);
      else bars.push(multibar.create(1, 0, row));
    });
  };

  // A look at all tasks for each event of a replay would take hours.
  const painting = setInterval(paint, 1000 / REPAINTS_PER_SECOND);
  return {
    show: (observation) => {
      isPainted = false;
      if (observation.kind === 'snapshot') {
        session = observation.view.session;
        progress = observation.view.progress;
        log(snapshotLine(session, observation.view.state));
      } else if (observation.kind === 'event') {
        session = observation.session;
        const line = eventLine(observation);
        if (line !== null) log(line);
      } else if (observation.kind === 'progress') {
        session = observation.session;
        progress = observation.progress;
      }
    },
    end: () => {
      clearInterval(painting);
      paint();
      multibar.update();
      multibar.stop();
    },
  };
}

/** What is on the screen: tasks that move first, then those that wait, then how many there is no room for. */
function rowsFor(session: Session, progress: Progress | null, height: number, columns: number): Row[] {
  const open = [...session.tasks.values()].filter((task) => !isSettled(task));
  const moving = open.filter((task) => progress?.tasks[String(task.number)] !== undefined);
  const others = open.filter((task) => progress?.tasks[String(task.number)] === undefined);
  const ordered = [...moving, ...others];
  const shown = ordered.length > height ? ordered.slice(0, height - 1) : ordered;
  const rows = shown.map((task) => ({ text: fit(taskRow(task, progress, columns), columns) }));
  return shown.length < ordered.length ? [...rows, { text: `… and ${ordered.length - shown.length} more` }] : rows;
}

function taskRow(task: Task, progress: Progress | null, columns: number): string {
  const widths = widthsFor(columns);
  const name = `${String(task.number).padStart(2)} ${pad(printable(task.spec.name, widths.name), widths.name)}`;
  const live = progress?.tasks[String(task.number)];
  if (live === undefined) {
    const [reason] = waitingReasons(task);
    return `${name} ${task.state.kind}${reason === undefined ? '' : `: ${printable(reason.message)}`}`;
  }
  if (live.total === null || live.total === 0) return `${name} ${formatSize(live.received)}  ${formatRate(live.bytesPerSecond ?? 0)}`;
  const part = Math.min(1, live.received / live.total);
  const full = Math.floor(part * widths.bar);
  const bar = widths.bar === 0 ? '' : ` ${'█'.repeat(full)}${'░'.repeat(widths.bar - full)}`;
  const state = task.state.kind === 'verifying' ? 'checking' : `${formatRate(live.bytesPerSecond ?? 0)}  ${formatEta(live.etaSeconds)}`;
  return `${name}${bar} ${String(Math.floor(part * 100)).padStart(3)} %  ${state}`;
}

/** On a narrow terminal the bar shrinks first, then the name: the numbers say more. */
function widthsFor(columns: number): { readonly name: number; readonly bar: number } {
  const free = columns > 0 ? columns - OTHER_COLUMNS : Infinity;
  const bar = Math.max(0, Math.min(BAR_WIDTH, free - NAME_WIDTH));
  return { bar, name: Math.max(SHORTEST_NAME, Math.min(NAME_WIDTH, free - bar)) };
}

function fit(text: string, columns: number): string {
  return columns > 0 ? printable(text, columns - 1) : text;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}
