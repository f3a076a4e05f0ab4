import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { idleAnswer } from '../domain/conditions.js';
import { ask, askBus, type Finding, type ProbeContext } from './probe.js';

/**
 * Is nobody at the machine? The first of these that answers: the desktop's idle monitor, logind's hint for the seat,
 * the terminal that was typed into last. macOS: the input system's idle time.
 */
export async function probeIdle(context: ProbeContext): Promise<Finding> {
  if (process.platform === 'darwin') return (await askInputSystem(context)) ?? unknownIdle('ioreg gave no idle time', 'ioreg');
  if (process.platform !== 'linux') return unknownIdle(`no idle probe on ${process.platform}`, 'none');
  return (await askDesktop(context)) ?? (await askSeat(context)) ?? terminalIdle('/dev', Date.now());
}

/** GNOME's idle monitor counts milliseconds since the last input. */
async function askDesktop(context: ProbeContext): Promise<Finding | null> {
  if (!context.env['DBUS_SESSION_BUS_ADDRESS']) return null;
  const service = 'org.gnome.Mutter.IdleMonitor';
  const answer = await askBus(context, 'user', 'call', service, '/org/gnome/Mutter/IdleMonitor/Core', service, 'GetIdletime');
  const milliseconds = /^t (\d+)/.exec(answer ?? '')?.[1];
  return milliseconds === undefined ? null : idleFor(Number(milliseconds) / 1000, service);
}

/**
 * The seat, not logind as a whole: remote log-ins count there as busy for half an hour after the last key, and for
 * ever when they have no terminal. A seat that nobody uses has no "since"; the terminals answer for it.
 */
async function askSeat(context: ProbeContext): Promise<Finding | null> {
  const service = 'org.freedesktop.login1';
  const seat = ['get-property', service, '/org/freedesktop/login1/seat/seat0', `${service}.Seat`, 'IdleHint', 'IdleSinceHint'];
  const [, hint, since] = /^b (true|false)\s+t (\d+)/.exec((await askBus(context, 'system', ...seat)) ?? '') ?? [];
  if (hint === undefined || since === undefined) return null;
  const source = `${service} seat0`;
  if (hint === 'false') return { value: 'no', detail: 'the seat is in use', source };
  return since === '0' ? null : idleFor(Math.max(0, Date.now() - Number(since) / 1000) / 1000, source);
}

async function askInputSystem(context: ProbeContext): Promise<Finding | null> {
  const nanoseconds = /"HIDIdleTime" = (\d+)/.exec((await ask(context, 'ioreg', '-rd1', '-c', 'IOHIDSystem')) ?? '')?.[1];
  return nanoseconds === undefined ? null : idleFor(Number(nanoseconds) / 1e9, 'ioreg HIDIdleTime');
}

/**
 * Idle time from the newest access time (the kernel's record of input, to 8 s) of the terminals under `dev`. A machine
 * without a terminal in use, such as a container or a server, is idle.
 */
export async function terminalIdle(dev: string, now: number): Promise<Finding> {
  const source = 'terminal access times';
  const consoles = (await namesIn(dev)).filter((name) => /^tty\d+$/.test(name)).map((name) => join(dev, name));
  const remote = (await namesIn(join(dev, 'pts'))).filter((name) => /^\d+$/.test(name)).map((name) => join(dev, 'pts', name));
  const accessed = await Promise.all([...consoles, ...remote].map((path) => stat(path).then(({ atimeMs }) => atimeMs, () => null)));
  const times = accessed.filter((time) => time !== null);
  if (times.length === 0) return { value: 'yes', detail: 'no terminal is in use', source };
  return idleFor(Math.max(0, now - Math.max(...times)) / 1000, source);
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []);
}

function idleFor(idleSeconds: number, source: string): Finding {
  return { value: idleAnswer(idleSeconds), detail: `last input ${Math.floor(idleSeconds)} s ago`, source };
}

function unknownIdle(detail: string, source: string): Finding {
  return { value: 'unknown', detail, source };
}
