import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { probeAc, probeLowPower } from '../../src/conditions/power.js';

let sysfs: string;

beforeEach(async () => {
  sysfs = await mkdtemp(join(tmpdir(), 'poste-sysfs-'));
});
afterEach(async () => {
  await rm(sysfs, { recursive: true, force: true });
});

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(sysfs, path)), { recursive: true });
    await writeFile(join(sysfs, path), `${content}\n`);
  }
}

function context(): Parameters<typeof probeAc>[0] {
  return { env: { POSTE_SYSFS_ROOT: sysfs, PATH: '' }, signal: new AbortController().signal };
}

const UNPLUGGED = {
  'class/power_supply/AC0/type': 'Mains',
  'class/power_supply/AC0/online': '0',
  'class/power_supply/BAT0/type': 'Battery',
  'class/power_supply/BAT0/present': '1',
  'class/power_supply/BAT0/status': 'Discharging',
  'class/power_supply/BAT0/capacity': '63',
};

describe('the power source, from sysfs', () => {
  it('a laptop unplugged, then plugged in', async () => {
    await write(UNPLUGGED);
    const battery = join(sysfs, 'class/power_supply/BAT0');
    expect(await probeAc(context())).toEqual({ value: 'no', detail: 'on battery (63 %)', source: battery });
    await write({ 'class/power_supply/AC0/online': '1' });
    const adapter = join(sysfs, 'class/power_supply/AC0');
    expect(await probeAc(context())).toEqual({ value: 'yes', detail: 'on AC power (AC0)', source: adapter });
  });

  it('a machine that has no power supplies at all counts as plugged in', async () => {
    expect(await probeAc(context())).toMatchObject({ value: 'yes', detail: 'no battery, counts as AC power' });
  });

  it('a laptop that charges a phone over USB-C is on battery', async () => {
    await write({
      ...UNPLUGGED,
      'class/power_supply/ucsi1/type': 'USB',
      'class/power_supply/ucsi1/online': '1',
      'devices/ucsi/typec/port0/power_role': '[source] sink',
    });
    await symlink('../../../devices/ucsi', join(sysfs, 'class/power_supply/ucsi1/device'));
    expect((await probeAc(context())).value).toBe('no');
    await write({ 'devices/ucsi/typec/port0/power_role': 'source [sink]' });
    expect((await probeAc(context())).value).toBe('yes');
  });

  it('attributes that cannot be read, and entries that lead nowhere, are passed over', async () => {
    await write({ ...UNPLUGGED, 'class/power_supply/readme': 'not a supply', 'class/power_supply/AC1/type': 'Mains' });
    await mkdir(join(sysfs, 'class/power_supply/AC1/online'));
    await symlink('../gone', join(sysfs, 'class/power_supply/BAT9'));
    expect(await probeAc(context())).toMatchObject({ value: 'no', detail: 'on battery (63 %)' });
  });
});

describe('a power-saving mode', () => {
  it.each([
    ['low-power', 'yes'],
    ['balanced', 'no'],
    ['performance', 'no'],
  ])('platform profile %s: %s', async (profile, value) => {
    await write({ 'firmware/acpi/platform_profile': profile });
    expect((await probeLowPower(context())).value).toBe(value);
  });

  it('is unknown where no profile is reported', async () => {
    expect((await probeLowPower(context())).value).toBe('unknown');
  });
});
