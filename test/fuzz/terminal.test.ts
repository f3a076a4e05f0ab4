import { spawn, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { EventBody } from '../../src/domain/events.js';
import { INVISIBLE } from '../../src/domain/printable.js';
import { Journal } from '../../src/store/journal.js';
import { raw, routes, serve, startOrigin } from '../support/origin.js';
import { makeHome, type Home } from '../support/poste.js';
import { sha256 } from '../support/content.js';
import { addedTask, CREATED, FILE } from '../support/sessions.js';
import { fuzz, hostileText, NASTY } from './fuzz.js';

const scriptMissing = spawnSync('script', ['--version']).status === 0 ? null : 'script is not installed';

const WITH = { missing: scriptMissing, patienceMs: 60_000 };

/** Runs a script of /bin/sh on a terminal of its own, and returns every byte that came out of it. */
async function onTerminal(home: Home, lines: readonly string[]): Promise<string> {
  const file = join(home.root, 'typed.sh');
  await writeFile(file, ['stty cols 100 rows 30', ...lines, ''].join('\n'));
  const child = spawn('script', ['-qc', `sh '${file}'`, '/dev/null'], { cwd: home.cwd, env: { ...home.env, TERM: 'xterm-256color', POSTE_POLICY_HOLD: '0' } });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Its input stays open: at its end, `script` would type Ctrl-D.
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  return Buffer.concat(chunks).toString();
}

/** How cli-progress moves the cursor, hides it and erases lines; the wrapping that it turns off; and the view's own end of line. */
// eslint-disable-next-line no-control-regex -- it is about what controls a terminal
const OWN = /\x1b\[(?:\?25[lh]|\?7[lh]|\d+A|1G|[02]?K|0J)/g;

/** Nothing on the terminal but text, line ends and what the bars are made of. */
function expectOnlyOurs(output: string): void {
  const rest = output.replaceAll(OWN, '').replaceAll(/\r?\n|\r/g, ' ');
  const culprit = rest.search(INVISIBLE);
  if (culprit !== -1) throw new Error(`acts on the terminal: ${JSON.stringify(rest.slice(Math.max(0, culprit - 80), culprit + 40))}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\0\ud800-\udfff]/gu, '').replaceAll("'", "'\\''")}'`;
}

/** What a file system takes for a name. */
function fileName(text: string): string {
  const name = Buffer.from(text.replaceAll(/[/\0]/g, '_').replaceAll(/[\ud800-\udfff]/gu, '_')).subarray(0, 60).toString().replaceAll('\ufffd', '');
  return /^\.*$/.test(name) ? `n${name}` : name;
}

/** A session in every state, with these texts wherever a text can be. */
async function writeSession(home: Home, texts: readonly string[]): Promise<void> {
  const dir = home.sessionDir('s');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const journal = await Journal.open(join(dir, 'journal.ndjson'), { gen: 1, stillMine: () => Promise.resolve(true) }, null);
  const bodies: EventBody[] = [{ ...CREATED, id: 's', temp: dir } as EventBody];
  let task = 0;
  for (const text of texts) {
    const error = { code: 'network', message: text, hint: text, exitCode: 6, transient: true } as const;
    const reason = { code: 'backoff', message: text, since: 1, nextCheckAt: 2 } as const;
    const added = (): EventBody => addedTask((task += 1), { name: text, url: text, label: text, to: `/${text}`, cwd: `/${text}`, onFinish: text });
    bodies.push({ type: 'worker.started', pid: 1, version: text }, { type: 'worker.exited', pid: 1, reason: text });
    bodies.push(added(), { type: 'task.started', task, attempt: 1, offset: 0 }, { type: 'task.restarted', task, reason: text, bytesDropped: 1 });
    bodies.push({ type: 'task.retrying', task, error, progressed: false, counts: true, reason });
    bodies.push(added(), { type: 'task.failed', task, error }, { type: 'hook.started', task, hook: 'finish', eventId: text, run: 1 });
    bodies.push({ type: 'hook.finished', task, hook: 'finish', eventId: text, ok: false, message: text, retryAt: null });
    bodies.push(addedTask((task += 1), { name: fileName(text), label: text }), { type: 'task.started', task, attempt: 1, offset: 0 });
    const folder = join(dir, 'finished', String(task));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(folder, fileName(text)), 'x');
    bodies.push({ type: 'task.finished', task, name: fileName(text), ...FILE, sha256: sha256(Buffer.from('x')), file: join(folder, fileName(text)) });
  }
  await journal.commit(() => bodies);
  await journal.close();
}

fuzz(`#101 nothing that is recorded acts on a terminal (script: ${scriptMissing ?? 'installed'})`, 1, [fc.array(hostileText(), { minLength: 8, maxLength: 8 })], async (more) => {
  await using home = await makeHome();
  const texts = [NASTY.join(''), ...more];
  await writeSession(home, texts);
  const [first = ''] = more;
  const output = await onTerminal(home, [
    'poste status --id s --explain; poste events --id s',
    'poste attach --id s --no-revive --since start',
    'poste claim --id s --to out/',
    // Refused, each of them, in a message that says what was wrong.
    `text=${quoted(NASTY.join('') + first)}`,
    'poste start -o x/y "http://$text"; poste status --id "/$text"; poste pause --id s "$text"; poste status "--$text"',
  ]);
  expect(output).toMatch(/s: interrupted[\s\S]*task\.retrying[\s\S]*out\//);
  expectOnlyOurs(output);
}, WITH);

fuzz(`#90 #101 nothing that a server, a hook or a condition says acts on a terminal (script: ${scriptMissing ?? 'installed'})`, 1, [hostileText()], async (text) => {
  await using home = await makeHome();
  const said = `${NASTY.join('')}${text}`;
  const latin1 = Buffer.from(said, 'latin1').toString('latin1').replaceAll(/\p{Cc}/gu, (char) => (char >= '\x80' ? char : ''));
  const encoded = encodeURIComponent(said.replaceAll(/[\ud800-\udfff]/gu, ''));
  await using origin = await startOrigin(
    routes({
      '/named/': serve(Buffer.from('hello'), { extraHeaders: [['Content-Disposition', `attachment; filename*=UTF-8''${encoded.replaceAll("'", '%27')}`], ['Connection', 'close']] }),
      '/status.bin': raw(`HTTP/1.1 404 ${latin1}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
      '/away.bin': raw(`HTTP/1.1 302 Found\r\nLocation: file:///${latin1}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
    }),
  );
  const spoken = join(home.root, 'spoken');
  await writeFile(spoken, said);
  const urls = ['/named/', '/status.bin', '/away.bin'].map((path) => origin.at(path)).join(' ');
  const output = await onTerminal(home, [
    `poste start --label ${quoted(said)} --to ${quoted(`${home.root}/${fileName(said)}/`)} --only-if 'cat ${spoken}' --on-finish 'cat ${spoken}; exit 0' ${urls}`,
    'poste attach; poste status --explain --id default; poste events; poste claim',
  ]);
  expect(output).toMatch(/404/);
  expect(output).toMatch(/hook\.finished .*exit 0: /);
  expect(output).toMatch(/task\.finished/);
  expectOnlyOurs(output);
}, WITH);
