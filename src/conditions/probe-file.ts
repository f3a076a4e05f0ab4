import { readFile } from 'node:fs/promises';
import { idleAnswer, type Input } from '../domain/conditions.js';
import type { Finding } from './probe.js';

const SOURCE = 'POSTE_PROBE_FILE';

/** All inputs as the JSON file at `path` states them. What it does not state, or cannot, is unknown; never throws. */
export async function readProbeFile(path: string): Promise<Record<Input, Finding>> {
  const content = await parse(path);
  if (typeof content === 'string') return allUnknown(content);
  const level = content['batteryPercent'];
  const battery = typeof level === 'number' ? `on battery (${level} %)` : 'on battery';
  return {
    ac: answer(content, 'ac', { yes: 'on AC power', no: battery }),
    idle: idle(content),
    metered: answer(content, 'metered', { yes: 'the network is metered', no: 'the network is unmetered' }),
    lowPower: answer(content, 'lowPower', { yes: 'power saving is on', no: 'power saving is off' }),
    online: answer(content, 'online', { yes: 'online', no: 'offline' }),
  };
}

/** Everything unknown for one reason. */
export function allUnknown(detail: string): Record<Input, Finding> {
  const finding: Finding = { value: 'unknown', detail, source: SOURCE };
  return { ac: finding, idle: finding, metered: finding, lowPower: finding, online: finding };
}

/** The file's object, or in words why there is none. */
async function parse(path: string): Promise<Record<string, unknown> | string> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isObject(content) ? content : 'the probe file holds no JSON object';
  } catch (error) {
    if (error instanceof SyntaxError) return 'the probe file is no valid JSON';
    return `the probe file cannot be read (${error instanceof Error ? error.message : String(error)})`;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function answer(content: Record<string, unknown>, key: string, words: { yes: string; no: string }): Finding {
  const value = content[key];
  if (value === 'yes' || value === 'no') return { value, detail: words[value], source: SOURCE };
  return { value: 'unknown', detail: undecided(key, value, 'yes, no or unknown'), source: SOURCE };
}

function idle(content: Record<string, unknown>): Finding {
  const seconds = content['idleSeconds'];
  if (typeof seconds !== 'number' || seconds < 0) {
    return { value: 'unknown', detail: undecided('idleSeconds', seconds, 'a number'), source: SOURCE };
  }
  return { value: idleAnswer(seconds), detail: `last input ${seconds} s ago`, source: SOURCE };
}

function undecided(key: string, value: unknown, wanted: string): string {
  return value === undefined || value === 'unknown' ? `the probe file does not know ${key}` : `${key} in the probe file is not ${wanted}`;
}
