import type { EventBody } from './events.js';
import type { Task, TaskState } from './task.js';

/** It ended without a file: it can begin again. */
export function canRetry(task: Task): boolean {
  return task.state.kind === 'failed' || task.state.kind === 'cancelled' || task.state.kind === 'expired';
}

/** What lets a task that failed or waits try at once. */
export function again(task: number, state: TaskState): EventBody[] {
  if (state.kind === 'waiting') return [{ type: 'task.paused', task }, { type: 'task.resumed', task, now: false }];
  return state.kind === 'failed' || state.kind === 'cancelled' || state.kind === 'expired' ? [{ type: 'task.retried', task }] : [];
}
