import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { probeIdle, terminalIdle } from '../../src/conditions/idle.js';
import { probeMetered } from '../../src/conditions/network.js';
import { probeLowPower } from '../../src/conditions/power.js';
import type { Env } from '../../src/conditions/probe.js';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'poste-desktop-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

/** A machine whose `busctl` is this script; without one, a machine that has none. */
async function machine(busctl: string | null, env: Env = {}): Promise<Parameters<typeof probeIdle>[0]> {
  if (busctl !== null) {
    await writeFile(join(dir, 'busctl'), `#!/bin/sh\necho "$*" >> ${dir}/asked\n${busctl}\n`);
    await chmod(join(dir, 'busctl'), 0o755);
  }
  return { env: { PATH: dir, POSTE_SYSFS_ROOT: dir, SECRET: 'x', ...env }, signal: new AbortController().signal };
}

const onLinux = describe.runIf(process.platform === 'linux');

describe('idle by the terminals', () => {
  const NOW = 1_700_000_000_000;
  async function terminal(name: string, idleSeconds: number): Promise<void> {
    await mkdir(join(dir, 'pts'), { recursive: true });
    await writeFile(join(dir, name), '');
    await utimes(join(dir, name), NOW / 1000 - idleSeconds, NOW / 1000);
  }

  it('is the time since any terminal was typed into last', async () => {
    await terminal('tty1', 9000);
    await terminal('pts/0', 1000);
    await terminal('pts/7', 12);
    expect(await terminalIdle(dir, NOW)).toMatchObject({ value: 'no', detail: 'last input 12 s ago' });
  });

  it('4 minutes without a key are idle', async () => {
    await terminal('tty1', 9000);
    await terminal('pts/0', 300);
    expect(await terminalIdle(dir, NOW)).toMatchObject({ value: 'yes', detail: 'last input 300 s ago' });
  });

  it('devices that nobody types into do not count', async () => {
    for (const name of ['tty', 'ttyS0', 'pts/ptmx', 'null']) await terminal(name, 1);
    expect(await terminalIdle(dir, NOW)).toMatchObject({ value: 'yes', detail: 'no terminal is in use' });
  });

  it('a machine without any terminal is idle, and says why', async () => {
    expect(await terminalIdle(join(dir, 'none'), NOW)).toMatchObject({ value: 'yes', detail: 'no terminal is in use' });
  });

  it('a clock behind the last key is no idle time', async () => {
    await terminal('pts/0', -500);
    expect(await terminalIdle(dir, NOW)).toMatchObject({ value: 'no', detail: 'last input 0 s ago' });
  });
});

onLinux('idle by the desktop', () => {
  const session = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' };

  it('is what the idle monitor says, in milliseconds', async () => {
    expect(await probeIdle(await machine('echo "t 12900"', session))).toMatchObject({ value: 'no', detail: 'last input 12 s ago' });
    expect(await probeIdle(await machine('echo "t 240000"', session))).toMatchObject({
      value: 'yes',
      source: 'org.gnome.Mutter.IdleMonitor',
    });
    const asked = await readFile(join(dir, 'asked'), 'utf8');
    expect(asked).toContain('--user --auto-start=no --timeout=500ms call org.gnome.Mutter.IdleMonitor ');
  });

  it('is the hint of the seat where there is no idle monitor', async () => {
    const seat = (hint: string, since: number): string =>
      `case "$*" in *--user*) exit 1;; *IdleHint\\ IdleSinceHint) echo "b ${hint}"; echo "t ${since}";; *) exit 1;; esac`;
    const since = (Date.now() - 600_000) * 1000;
    const idle = { value: 'yes', source: 'org.freedesktop.login1 seat0' };
    expect(await probeIdle(await machine(seat('true', since), session))).toMatchObject(idle);
    expect(await probeIdle(await machine(seat('false', since)))).toMatchObject({ value: 'no', detail: 'the seat is in use' });
    expect(await probeIdle(await machine(seat('true', 0)))).toMatchObject({ source: 'terminal access times' });
  });

  it.each([
    ['is absent', null],
    ['fails', 'exit 1'],
    ['talks rubbish', 'echo "b maybe"; /usr/bin/head -c 200000 /dev/zero'],
  ])('falls back on the terminals where busctl %s', async (_name, busctl) => {
    expect(await probeIdle(await machine(busctl, session))).toMatchObject({ source: 'terminal access times' });
  });
});

onLinux('the network, from NetworkManager', () => {
  it.each([
    ['u 1', 'yes'],
    ['u 2', 'no'],
    ['u 3', 'yes'],
    ['u 4', 'no'],
    ['u 0', 'unknown'],
    ['', 'unknown'],
  ])('%j: metered %s', async (answer, value) => {
    expect((await probeMetered(await machine(`echo "${answer}"`))).value).toBe(value);
  });

  it('is unknown where there is no busctl', async () => {
    expect((await probeMetered(await machine(null))).value).toBe('unknown');
  });
});

onLinux('power saving, from the power profiles', () => {
  it.each([
    ['power-saver', 'yes'],
    ['balanced', 'no'],
  ])('%s: %s', async (profile, value) => {
    expect((await probeLowPower(await machine(`echo 's "${profile}"'`))).value).toBe(value);
  });
});

onLinux('the tools that are asked', () => {
  it("see no more of the worker's environment than they need", async () => {
    await probeMetered(await machine(`/usr/bin/env > ${dir}/env; echo "u 2"`, { XDG_RUNTIME_DIR: '/run/x' }));
    const seen = await readFile(join(dir, 'env'), 'utf8');
    expect(seen).toContain('XDG_RUNTIME_DIR=/run/x');
    expect(seen).not.toContain('SECRET');
  });
});
