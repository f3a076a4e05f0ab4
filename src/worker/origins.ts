import type { TaskSpec } from '../domain/task.js';
import { originOf } from '../domain/url.js';

/** Every look asks for every task's: parsing 100 000 URLs anew each time would be all that the worker does. */
const origins = new WeakMap<TaskSpec, string>();

/** Scheme, host and port that a task asks first. */
export function originOfTask({ spec }: { readonly spec: TaskSpec }): string {
  const known = origins.get(spec);
  if (known !== undefined) return known;
  const origin = originOf(spec.url);
  origins.set(spec, origin);
  return origin;
}
