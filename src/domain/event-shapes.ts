import type { EventBody } from './events.js';
import { isProvenance } from './provenance.js';
import { address, amount, choice, count, either, fileName, flag, instant, listOf, maybe, oneOf, ordinal, orNull, partly, place, record, tableOf, text, type Shape } from './shape.js';

const SETTINGS = {
  jobs: count,
  limitRate: orNull(amount),
  onComplete: orNull(text),
  hookTimeoutMs: amount,
  retainMs: orNull(amount),
};
export const someSettings = partly(SETTINGS);

const CONDITIONS = {
  when: orNull(oneOf('ac-or-idle', 'ac', 'idle', 'ac-and-idle')),
  onlyIf: orNull(text),
  unmetered: choice,
  notBefore: orNull(instant),
  by: orNull(instant),
};
const SPEC = {
  url: address,
  urlHash: text,
  name: fileName,
  namedBy: oneOf('user', 'url', 'default'),
  label: orNull(text),
  priority: oneOf('high', 'normal', 'low'),
  to: orNull(place),
  cwd: place,
  checksum: orNull(record({ algorithm: oneOf('md5', 'sha1', 'sha256', 'sha512'), hex: text })),
  connections: either(oneOf('auto'), count),
  conditions: record(CONDITIONS),
  onFinish: orNull(text),
  hookTimeoutMs: amount,
  stallTimeoutMs: amount,
  giveUpAfterMs: amount,
  retries: orNull(count),
  maxSize: orNull(count),
  expectSize: orNull(count),
  headerNames: listOf(text),
  userAgent: orNull(text),
  caFile: orNull(place),
  insecure: choice,
};
export const wholeSpec = record(SPEC);
export const someSpec = partly(SPEC);
export const someConditions = partly(CONDITIONS);

export const errorShape = record({ code: text, message: text, hint: maybe(text), exitCode: count, transient: flag });
const reason = record({ code: text, message: text, since: instant, nextCheckAt: orNull(instant) });
const ofTask = { task: ordinal };
const ofHook = { task: maybe(ordinal), hook: oneOf('finish', 'complete'), eventId: text };

const SHAPES: Readonly<Record<EventBody['type'], Shape>> = {
  'session.created': record({ id: text, temp: place, cwd: place, settings: record(SETTINGS) }),
  'session.changed': record({ settings: someSettings }),
  'session.settled': record({ counts: tableOf(count) }),
  'session.acknowledged': record({ upTo: count }),
  'session.forgetting': record({ purge: choice }),
  'session.forgotten': record({}),
  'worker.started': record({ pid: count, version: text }),
  'worker.exited': record({ pid: count, reason: text }),
  'task.added': record({ ...ofTask, request: text, paused: choice, spec: wholeSpec }),
  'task.changed': record({ ...ofTask, spec: someSpec }),
  'task.started': record({ ...ofTask, attempt: count, offset: count }),
  'task.answered': record({
    ...ofTask,
    name: fileName,
    representation: record({ total: orNull(count), resumable: flag, evidence: oneOf('etag', 'last-modified', 'digest', 'none') }),
  }),
  'task.waiting': record({ ...ofTask, reasons: listOf(reason) }),
  'task.retrying': record({ ...ofTask, error: errorShape, progressed: flag, counts: flag, reason }),
  'task.restarted': record({ ...ofTask, reason: text, bytesDropped: count }),
  'task.verifying': record(ofTask),
  'task.finished': record({ ...ofTask, name: fileName, file: place, size: count, sha256: text, length: oneOf('verified', 'unverified'), modifiedAt: maybe(amount), provenance: maybe(isProvenance) }),
  'task.failed': record({ ...ofTask, error: errorShape }),
  'task.paused': record(ofTask),
  'task.resumed': record({ ...ofTask, now: choice }),
  'task.retried': record(ofTask),
  'task.cancelled': record(ofTask),
  'task.claimed': record({ ...ofTask, path: orNull(place), by: oneOf('claim', 'hook') }),
  'task.expired': record(ofTask),
  'hook.started': record({ ...ofHook, run: count }),
  'hook.finished': record({ ...ofHook, ok: flag, message: text, retryAt: orNull(instant) }),
};

const placed = record({ seq: count, gen: count, time: instant });

/** Whether `event` is one that the rules can be asked about. A type that is not known here is: it changes nothing. */
export function isEvent(event: Readonly<Record<string, unknown>>): boolean {
  const { type } = event;
  if (typeof type !== 'string' || !placed(event)) return false;
  return Object.hasOwn(SHAPES, type) ? SHAPES[type as EventBody['type']](event) : maybe(ordinal)(event['task']);
}
