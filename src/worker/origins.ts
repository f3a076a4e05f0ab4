import type { Task } from '../domain/task.js';
import { originOf } from '../domain/url.js';
import { PerTask } from './per-task.js';

const origins = new PerTask(({ spec }) => originOf(spec.url));

/** Scheme, host and port that a task asks first. */
export function originOfTask(task: Task): string {
  return origins.of(task);
}
