import { describe, expect, it } from 'vitest';
import { powerVerdict, type PowerSupply } from '../../src/domain/power.js';

function supply(facts: Partial<PowerSupply> & { name: string }): PowerSupply {
  return { type: null, online: null, scope: null, present: null, status: null, capacity: null, portRoles: [], ...facts };
}

const mains = (online: string): PowerSupply => supply({ name: 'AC0', type: 'Mains', online });
const battery = (status: string | null, more: Partial<PowerSupply> = {}): PowerSupply =>
  supply({ name: 'BAT0', type: 'Battery', present: '1', capacity: '63', status, ...more });
const spare = battery('Discharging', { name: 'BAT1', capacity: '9' });
const usb = (online: string, ...portRoles: string[]): PowerSupply => supply({ name: 'ucsi1', type: 'USB', online, portRoles });

const CASES: readonly [name: string, supplies: readonly PowerSupply[], value: 'yes' | 'no', detail: string][] = [
  ['a desktop or container without supplies', [], 'yes', 'no battery, counts as AC power'],
  ['a laptop plugged in', [mains('1'), battery('Charging')], 'yes', 'on AC power (AC0)'],
  ['a laptop plugged in whose battery drains all the same', [mains('1'), battery('Discharging')], 'yes', 'on AC power (AC0)'],
  ['a laptop unplugged', [mains('0'), battery('Discharging')], 'no', 'on battery (63 %)'],
  ['a laptop with two batteries', [battery('Discharging'), spare], 'no', 'on battery (63 %, 9 %)'],
  ['one battery rests while the other drains', [battery('Unknown'), battery('Discharging', { capacity: null })], 'no', 'on battery'],
  ['a programmable USB-C charger (online is 2)', [usb('2', 'source [sink]'), battery('Discharging')], 'yes', 'on AC power (ucsi1)'],
  ['a USB-C charger whose port tells no role', [usb('1'), battery('Discharging')], 'yes', 'on AC power (ucsi1)'],
  ['a laptop that charges a phone', [usb('1', '[source] sink'), battery('Discharging')], 'no', 'on battery (63 %)'],
  [
    'one port charges a phone, another is the charger',
    [usb('1', '[source] sink', 'source [sink]'), battery('Discharging')],
    'yes',
    'on AC power (ucsi1)',
  ],
  ['a wireless charger', [supply({ name: 'pad', type: 'Wireless', online: '1' }), battery('Discharging')], 'yes', 'on AC power (pad)'],
  ['a desktop with a wireless mouse', [battery('Discharging', { scope: 'Device' })], 'yes', 'no battery, counts as AC power'],
  ['an empty battery bay', [mains('0'), battery('Discharging', { present: '0' })], 'yes', 'no battery, counts as AC power'],
  ['a battery that does not tell its state', [mains('0'), battery(null)], 'no', 'on battery (63 %)'],
  ['an adapter that is off beside a full battery', [mains('0'), battery('Full')], 'yes', 'no battery is discharging, counts as AC power'],
  ['a battery that is held at its limit', [mains('0'), battery('Not charging')], 'yes', 'no battery is discharging, counts as AC power'],
  ['an adapter that cannot be read', [supply({ name: 'AC0', type: 'Mains' }), battery('Discharging')], 'no', 'on battery (63 %)'],
  ['an adapter that says rubbish', [mains('-1'), mains('on'), battery('Discharging')], 'no', 'on battery (63 %)'],
  ['a supply without a type', [supply({ name: 'x', online: '1' }), battery('Discharging')], 'no', 'on battery (63 %)'],
  ['a battery that calls itself online', [battery('Discharging', { online: '1' })], 'no', 'on battery (63 %)'],
];

describe('AC or battery is told as systemd tells it', () => {
  it.each(CASES)('%s', (_name, supplies, value, detail) => {
    expect(powerVerdict(supplies)).toMatchObject({ value, detail });
    expect(powerVerdict([...supplies].reverse()).value).toBe(value);
  });
});
