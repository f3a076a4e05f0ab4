import { expect, test } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import { eventJson } from '../../src/session/event-json.js';
import { addedTask, CREATED } from '../support/sessions.js';

const AT = Date.UTC(2026, 10, 28, 12);
const ISO = '2026-11-28T12:00:00.000Z';

const shown = (body: EventBody): unknown => JSON.parse(JSON.stringify(eventJson({ ...body, seq: 1, gen: 1, time: AT })));

test('every time of an event is in ISO 8601 and every duration in seconds, however deep', () => {
  const { spec, ...added } = addedTask(1) as EventBody & { type: 'task.added' };
  const json = shown({ ...added, spec: { ...spec, conditions: { ...spec.conditions, notBefore: AT, by: AT }, hookTimeoutMs: 1500 } });
  expect(json).toMatchObject({ time: ISO, spec: { conditions: { notBefore: ISO, by: ISO }, hookTimeoutSeconds: 1.5, giveUpAfterSeconds: spec.giveUpAfterMs / 1000 } });
  expect(JSON.stringify(json)).not.toMatch(/Ms"|\d{12}/);
  expect(JSON.stringify(shown(CREATED))).not.toMatch(/Ms"/);
  const reason = { code: 'backoff', message: 'm', since: AT, nextCheckAt: null } as const;
  expect(shown({ type: 'task.waiting', task: 1, reasons: [reason] })).toMatchObject({ reasons: [{ code: 'backoff', since: ISO, nextCheckAt: null }] });
});

test('who claimed a file is no time', () => {
  expect(shown({ type: 'task.claimed', task: 1, path: '/d', by: 'claim' })).toMatchObject({ by: 'claim', path: '/d' });
});
