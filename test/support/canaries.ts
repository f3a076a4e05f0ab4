import { randomBytes } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Secrets that can be told apart from anything else, by what each stands for. */
export class Canaries {
  readonly #values = new Map<string, string>();

  /** A new one; the same again for the same name. */
  of(name: string): string {
    const value = this.#values.get(name) ?? `cage${randomBytes(9).toString('hex')}`;
    this.#values.set(name, value);
    return value;
  }

  /** A secret that is not ours to choose. */
  add(name: string, value: string): void {
    this.#values.set(name, value);
  }

  /** Names of those that are in `text`, in any case of letters or in base64, wherever in a longer text they began there. */
  in(text: string): string[] {
    const lower = text.toLowerCase();
    return [...this.#values].filter(([, value]) => lower.includes(value.toLowerCase()) || base64Forms(value).some((form) => text.includes(form))).map(([name]) => name);
  }

  /** `path: name` for each that is in a file's name, content or link below `dir`, but for what `allowed` matches of the path below it. */
  async below(dir: string, allowed: RegExp | null = null): Promise<string[]> {
    const found: string[] = [];
    for (const path of await readdir(dir, { recursive: true }).catch(() => [])) {
      if (allowed?.test(path) === true) continue;
      const whole = join(dir, path);
      const content = await lstat(whole)
        .then((stats) => (stats.isSymbolicLink() ? readlink(whole) : stats.isFile() ? readFile(whole, 'latin1') : ''))
        .catch(() => '');
      found.push(...this.in(`${path}\n${content}`).map((name) => `${path}: ${name}`));
    }
    return found;
  }

  /** `pid: name` for each that is in the arguments or the environment of a process; those of `except` were given them by the test itself. */
  async inProcesses(except: readonly number[] = []): Promise<string[]> {
    const found: string[] = [];
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid) || except.includes(Number(pid))) continue;
      const texts = ['environ', 'cmdline'].map((name) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => ''));
      found.push(...this.in((await Promise.all(texts)).join('\n')).map((name) => `${pid}: ${name}`));
    }
    return found;
  }
}

/** What of the base64 of a longer text is due to `value` alone, for each of the three places at which it can begin. */
function base64Forms(value: string): string[] {
  return [0, 1, 2].map((before) => {
    const whole = Buffer.from(`${'x'.repeat(before)}${value}`).toString('base64').replace(/=+$/, '');
    return whole.slice(before === 0 ? 0 : before + 1, -2);
  });
}
