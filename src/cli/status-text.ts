import type { TaskJson } from '../session/task-view.js';
import type { SessionShown } from '../session/status.js';
import { printable } from '../domain/printable.js';
import { formatEta, formatRate, formatSize } from '../domain/quantities.js';

/** The sessions as lines for a terminal. `detailed` shows what is only of interest when one session was asked for. */
export function statusText(sessions: readonly SessionShown[], { home, detailed }: { home: string; detailed: boolean }): string[] {
  if (sessions.length === 0) return [`no sessions in ${printable(home)}`];
  return sessions.flatMap((session, index) => [...(index === 0 ? [] : ['']), ...sessionLines(session, detailed)]);
}

/** Of each session, when one was not asked for. */
export const TASKS_SHOWN = 20;

function sessionLines(session: SessionShown, detailed: boolean): string[] {
  const counts = Object.entries(session.counts).map(([state, count]) => `${count} ${state}`);
  const worker = session.worker === null ? 'no worker' : `worker ${session.worker.pid}`;
  const lines = [`${session.id}: ${session.state} (${[...counts, worker].join(', ')})`];
  for (const task of session.tasks) lines.push(...taskLines(task, detailed));
  if (session.more > 0) lines.push(`  … and ${session.more} more: poste status --id ${session.id}`);
  if (session.damage !== null) lines.push(`  damage: ${session.damage.lines} line(s) of the journal could not be read; what they said is lost`);
  for (const { tasks, conditions } of session.explain ?? []) {
    lines.push(`  conditions of task${tasks.length === 1 ? '' : 's'} ${tasks.join(', ')}:`);
    for (const line of conditions) {
      const facts = `${line.condition}: ${line.value} (${line.detail}; from ${line.source}, ${line.ageSeconds.toFixed(0)} s old), needs ${line.threshold}`;
      lines.push(`     ${line.met ? 'met    ' : 'NOT met'}  ${printable(facts)}`);
    }
  }
  if (session.isSilent) lines.push('  the worker says nothing of its transfers: it is stopped or stuck');
  const next = nextStep(session);
  if (next !== null) lines.push(`  ${next}`);
  return lines;
}

function taskLines(task: TaskJson, detailed: boolean): string[] {
  const lines = [`  ${task.task}  ${printable(task.name, 40)}  ${task.state}  ${amount(task)}`.trimEnd()];
  for (const reason of task.waiting) {
    const next = reason.nextCheckAt === null ? '' : `, next look ${reason.nextCheckAt.slice(11, 19)}Z`;
    lines.push(`     ${reason.code}: ${printable(reason.message)} (since ${reason.since.slice(11, 19)}Z${next})`);
  }
  if (task.error !== null) lines.push(`     ${printable(`${task.error.message}${task.error.hint === undefined ? '' : `; ${task.error.hint}`}`)}`);
  if (task.claimedTo !== null) lines.push(`     → ${printable(task.claimedTo)}`);
  if (detailed) {
    lines.push(`     from ${printable(task.url)}`);
    if (task.label !== null) lines.push(`     label: ${printable(task.label)}`);
    if (task.resumable === false) lines.push('     cannot be resumed: the server offers no proof that the file is still the same');
    if (task.sha256 !== null) lines.push(`     sha256 ${task.sha256}`);
  }
  return lines;
}

function amount({ state, bytesReceived, bytesExpected, bytesPerSecond, etaSeconds }: TaskJson): string {
  if (state === 'finished' || state === 'claimed') return formatSize(bytesReceived);
  if (bytesReceived === 0 && bytesExpected === null) return '';
  const of = bytesExpected === null ? '' : ` of ${formatSize(bytesExpected)}`;
  const percent = bytesExpected === null || bytesExpected === 0 ? '' : ` (${Math.floor((bytesReceived / bytesExpected) * 100)} %)`;
  const rate = bytesPerSecond === null || state !== 'running' ? '' : `, ${formatRate(bytesPerSecond)}, ${formatEta(etaSeconds)} left`;
  return `${formatSize(bytesReceived)}${of}${percent}${rate}`;
}

function nextStep({ id, state, counts }: SessionShown): string | null {
  if (state === 'interrupted') return `interrupted: poste attach --id ${id} lets it go on`;
  if (state === 'paused') return `paused: poste resume --id ${id}`;
  if ((counts['finished'] ?? 0) > 0) return `ready: poste claim --id ${id}`;
  return null;
}
