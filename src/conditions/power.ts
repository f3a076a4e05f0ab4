import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { powerVerdict, type PowerSupply } from '../domain/power.js';
import { ask, askBus, type Env, type Finding, type ProbeContext } from './probe.js';

/** On AC power? Linux: sysfs; macOS: `pmset`; unknown elsewhere. */
export async function probeAc(context: ProbeContext): Promise<Finding> {
  const sysfs = sysfsRoot(context.env);
  if (sysfs !== null) return readSupplies(join(sysfs, 'class', 'power_supply'));
  if (process.platform === 'darwin') return parsePmset(await ask(context, 'pmset', '-g', 'batt'));
  return { value: 'unknown', detail: `no power probe on ${process.platform}`, source: 'none' };
}

/** In a power-saving mode? Linux: the platform profile, else power-profiles-daemon; macOS: `pmset`; unknown elsewhere. */
export async function probeLowPower(context: ProbeContext): Promise<Finding> {
  const sysfs = sysfsRoot(context.env);
  if (sysfs !== null) return readProfile(context, join(sysfs, 'firmware', 'acpi', 'platform_profile'));
  if (process.platform === 'darwin') return parseLowPowerMode(await ask(context, 'pmset', '-g'));
  return { value: 'unknown', detail: `no power probe on ${process.platform}`, source: 'none' };
}

/** `null` on a machine that has none. */
function sysfsRoot(env: Env): string | null {
  return env['POSTE_SYSFS_ROOT'] || (process.platform === 'linux' ? '/sys' : null);
}

async function readSupplies(dir: string): Promise<Finding> {
  const names = await readdir(dir).catch(() => []);
  const supplies = await Promise.all(names.sort().map((name) => readSupply(dir, name)));
  const { value, detail, supply } = powerVerdict(supplies);
  return { value, detail, source: supply === null ? dir : join(dir, supply) };
}

async function readSupply(dir: string, name: string): Promise<PowerSupply> {
  const read = (attribute: string): Promise<string | null> => readAttribute(join(dir, name, attribute));
  const [type, online, scope, present, status, capacity] = await Promise.all([
    read('type'),
    read('online'),
    read('scope'),
    read('present'),
    read('status'),
    read('capacity'),
  ]);
  return { name, type, online, scope, present, status, capacity, portRoles: type === 'USB' ? await readPortRoles(join(dir, name)) : [] };
}

/** USB-C ports are siblings of the supply, under the device that both belong to. */
async function readPortRoles(supply: string): Promise<string[]> {
  const ports = join(supply, 'device', 'typec');
  const names = await readdir(ports).catch(() => []);
  const roles = await Promise.all(names.map((name) => readAttribute(join(ports, name, 'power_role'))));
  return roles.filter((role) => role !== null);
}

async function readProfile(context: ProbeContext, file: string): Promise<Finding> {
  const profile = await readAttribute(file);
  if (profile !== null) return modeFinding(profile === 'low-power', `platform profile ${profile}`, file);
  const service = 'net.hadess.PowerProfiles';
  const answer = await askBus(context, 'system', 'get-property', service, '/net/hadess/PowerProfiles', service, 'ActiveProfile');
  const active = /^s "([a-z-]+)"/.exec(answer ?? '')?.[1];
  if (active !== undefined) return modeFinding(active === 'power-saver', `power profile ${active}`, service);
  return { value: 'unknown', detail: 'no power profile is reported', source: file };
}

/** Drivers fail single attributes (ENODEV, EIO) while the rest is good: any failure is "not there". */
async function readAttribute(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return null;
  }
}

function modeFinding(low: boolean, words: string, source: string): Finding {
  return { value: low ? 'yes' : 'no', detail: low ? `power saving is on (${words})` : `power saving is off (${words})`, source };
}

/** `Now drawing from 'Battery Power'`, then a line for each battery with its level. */
function parsePmset(output: string | null): Finding {
  const source = 'pmset -g batt';
  const drawing = /drawing from '([^']+)'/.exec(output ?? '')?.[1];
  if (drawing === undefined) return { value: 'unknown', detail: 'pmset gave no answer', source };
  if (drawing !== 'Battery Power') return { value: 'yes', detail: 'on AC power', source };
  const level = /(\d+)%/.exec(output ?? '')?.[1];
  return { value: 'no', detail: level === undefined ? 'on battery' : `on battery (${level} %)`, source };
}

function parseLowPowerMode(output: string | null): Finding {
  const mode = /\blowpowermode\s+([01])/.exec(output ?? '')?.[1];
  if (mode === undefined) return { value: 'unknown', detail: 'pmset reports no low power mode', source: 'pmset -g' };
  return modeFinding(mode === '1', 'Low Power Mode', 'pmset -g');
}
