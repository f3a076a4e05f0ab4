import type { Answer } from './conditions.js';

/** One entry of `/sys/class/power_supply`, as read; `null` is an attribute that is absent or unreadable. */
export interface PowerSupply {
  readonly name: string;
  /** `Mains`, `USB`, `Wireless`, `UPS`, `Battery`. */
  readonly type: string | null;
  readonly online: string | null;
  readonly scope: string | null;
  readonly present: string | null;
  readonly status: string | null;
  /** Per cent. */
  readonly capacity: string | null;
  /** `power_role` of each USB-C port that the supply belongs to, such as `[source] sink`. */
  readonly portRoles: readonly string[];
}

export interface PowerVerdict {
  readonly value: Answer;
  readonly detail: string;
  /** Name of the supply that decided; `null` when none did. */
  readonly supply: string | null;
}

/**
 * Whether the machine runs on AC power, by the rule of systemd's `on_ac_power` (ConditionACPower=): any adapter that
 * is online is AC; else a discharging battery of the machine itself is battery; else AC, so that desktops, servers
 * and containers count as plugged in.
 */
export function powerVerdict(supplies: readonly PowerSupply[]): PowerVerdict {
  const adapter = supplies.find(isOnlineAdapter);
  if (adapter !== undefined) return { value: 'yes', detail: `on AC power (${adapter.name})`, supply: adapter.name };
  const batteries = supplies.filter(isSystemBattery);
  const discharging = batteries.filter(({ status }) => status === null || status === 'Discharging');
  const [first] = discharging;
  if (first !== undefined) {
    const levels = discharging.flatMap(({ capacity }) => (capacity === null ? [] : [`${capacity} %`]));
    return { value: 'no', detail: levels.length === 0 ? 'on battery' : `on battery (${levels.join(', ')})`, supply: first.name };
  }
  const detail = batteries.length === 0 ? 'no battery, counts as AC power' : 'no battery is discharging, counts as AC power';
  return { value: 'yes', detail, supply: null };
}

function isOnlineAdapter({ type, online, portRoles }: PowerSupply): boolean {
  if (type === null || type === 'Battery') return false;
  if (type === 'USB' && feedsOthers(portRoles)) return false;
  // The kernel knows two kinds of online: 1 fixed, 2 programmable voltage.
  return online !== null && /^\d+$/.test(online) && Number(online) > 0;
}

/** A USB-C port that charges a phone is "online" too, while the machine itself runs on battery. */
function feedsOthers(portRoles: readonly string[]): boolean {
  return portRoles.some((role) => role.includes('[source]')) && !portRoles.some((role) => role.includes('[sink]'));
}

/** Not the battery of a mouse or a headset (`scope` Device), and not an empty bay. */
function isSystemBattery({ type, scope, present }: PowerSupply): boolean {
  return type === 'Battery' && scope !== 'Device' && present !== '0';
}
