import { errorShape, someConditions, someSettings, someSpec, wholeSpec } from './event-shapes.js';
import type { Request } from './requests.js';
import { choice, count, flag, listOf, maybe, oneOf, ordinal, orNull, pairOf, partly, place, record, text, type Shape } from './shape.js';

const taskSecrets = partly({ url: text, headers: listOf(pairOf(text, text)), proxy: partly({ http: text, https: text, no: text }) });

const names = listOf(text);

const SHAPES: Readonly<Record<Request['kind'], Shape>> = {
  add: record({
    tasks: listOf(record({ spec: wholeSpec, secrets: taskSecrets, paused: choice, forceNew: choice })),
    settings: someSettings,
    temp: orNull(place),
    defaultTemp: place,
    cwd: place,
  }),
  pause: record({ names }),
  resume: record({ names, now: choice }),
  cancel: record({ names, purge: choice }),
  retry: record({ names }),
  set: record({ names, settings: someSettings, spec: someSpec, conditions: maybe(someConditions), url: orNull(record({ redacted: text, hash: text, secret: orNull(text) })) }),
  claimed: record({ claims: listOf(record({ task: ordinal, path: place, sha256: maybe(text) })) }),
  acknowledge: record({ upTo: count }),
  forget: record({ mode: oneOf('settled', 'when-done', 'cancel'), purge: choice }),
};

/** What a request from a file is: one to be carried out, one of a kind that only a later poste knows, or none at all. */
export function judgeRequest(request: unknown): 'sound' | 'unknown' | 'damaged' {
  if (!record({ kind: text })(request)) return 'damaged';
  const { kind } = request as { kind: string };
  if (!Object.hasOwn(SHAPES, kind)) return 'unknown';
  return SHAPES[kind as Request['kind']](request) ? 'sound' : 'damaged';
}

const granted = record({ tasks: listOf(ordinal), existing: listOf(ordinal) });
const refused = record({ error: errorShape });

export function isAnswer(answer: unknown): boolean {
  if (!record({ ok: flag })(answer)) return false;
  return (answer as { ok: boolean }).ok ? granted(answer) : refused(answer);
}

/** Of the file that keeps secrets apart: by task number. */
export function isSecretsTable(table: unknown): boolean {
  return record({})(table) && Object.entries(table as object).every(([number, secrets]) => ordinal(Number(number)) && taskSecrets(secrets));
}
