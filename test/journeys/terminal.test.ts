import { expect, test } from 'vitest';
import { content, makeHold, serve, startOrigin } from '../support/origin.js';
import { makeHome } from '../support/poste.js';
import { startTerminal, tmuxMissing } from '../support/tmux.js';

const file = content('terminal', 6_000_000);
const slowly = serve(file, { etag: '"a"', bytesPerSecond: 1_500_000 });
const stalled = serve(file, { etag: '"a"', bytesPerSecond: 3_000_000, stallAt: 3_000_000 });
const where = `(tmux: ${tmuxMissing ?? 'installed'})`;

test.skipIf(tmuxMissing)(`a terminal shows a bar for the download and its end ${where}`, async () => {
  await using home = await makeHome();
  const hold = makeHold(2_000_000);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold }));
  await home.run(['start', origin.at('/film.mkv')]);
  await using terminal = await startTerminal('poste attach', { env: home.env, cwd: home.cwd });
  await terminal.shows(/film\.mkv.*\d+ ?%/);
  hold.release();
  expect(await terminal.exitCode()).toBe(0);
  expect(await terminal.capture()).toContain('film.mkv');
});

test.skipIf(tmuxMissing)(`a narrow terminal still shows how far it is, how fast and how long it takes ${where}`, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  await home.run(['start', origin.at('/a-film-with-a-long-name.mkv')]);
  await using terminal = await startTerminal('poste attach', { env: home.env, cwd: home.cwd, columns: 42 });
  await terminal.shows(/a-.*\d+ % {2}[\d.]+ [KM]iB\/s {2}\d+s$/m);
});

test.skipIf(tmuxMissing)(`Ctrl-C detaches and says how to come back; the transfer goes on; attach comes back ${where}`, async () => {
  await using home = await makeHome();
  const hold = makeHold(2_000_000);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold }));
  await home.run(['start', '--id', 'films', origin.at('/film.mkv')]);
  await using terminal = await startTerminal('poste attach --id films', { env: home.env, cwd: home.cwd });
  await terminal.shows(/\d+ ?%/);
  const pid = await home.workerPid('films');
  await terminal.sendKeys('C-c');
  expect([7, 130]).toContain(await terminal.exitCode());
  expect(await terminal.capture()).toMatch(/poste attach --id films/);
  expect(await home.workerPid('films')).toBe(pid);
  hold.release();
  await using again = await startTerminal('poste attach --id films', { env: home.env, cwd: home.cwd });
  expect(await again.exitCode()).toBe(0);
  expect(origin.refetched(file.length)).toBe(0);
});

test.skipIf(tmuxMissing)(`two terminals watch one session at once ${where}`, async () => {
  await using home = await makeHome();
  const hold = makeHold(2_000_000);
  await using origin = await startOrigin(() => serve(file, { etag: '"a"', hold }));
  await home.run(['start', origin.at('/film.mkv')]);
  await using one = await startTerminal('poste attach', { env: home.env, cwd: home.cwd });
  await using other = await startTerminal('poste attach', { env: home.env, cwd: home.cwd });
  await Promise.all([one.shows(/\d+ ?%/), other.shows(/\d+ ?%/)]);
  hold.release();
  expect([await one.exitCode(), await other.exitCode()]).toEqual([0, 0]);
});

test.skipIf(tmuxMissing)(`more tasks than rows fit on the screen, and the rest is counted ${where}`, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => stalled);
  const urls = Array.from({ length: 40 }, (_, n) => origin.at(`/file${n}.bin`));
  await home.run(['start', '--jobs', '40', ...urls]);
  await using terminal = await startTerminal('poste attach', { env: home.env, cwd: home.cwd });
  expect((await terminal.shows(/and \d+ more/)).split('\n').filter(Boolean).length).toBeLessThanOrEqual(24);
});

test.skipIf(tmuxMissing)(`#101 a name with control characters cannot drive the terminal ${where}`, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => stalled);
  await home.run(['start', origin.at('/%1b%5b2J%1b%5d0;owned%07film.mkv')]);
  await using terminal = await startTerminal('poste attach', { env: home.env, cwd: home.cwd });
  await terminal.shows(/film\.mkv/);
  expect(await terminal.tmux('display-message', '-p', '#{pane_title}')).not.toContain('owned');
});

test('#50 `attach | head -1` ends, and leaves the worker alone', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => stalled);
  await home.run(['start', origin.at('/film.mkv')]);
  const pid = await home.workerPid();
  const piped = await home.sh('poste attach --json | head -1');
  expect(piped.stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse(piped.stdout)).toMatchObject({ type: 'snapshot' });
  expect(await home.workerPid()).toBe(pid);
});

test('into a pipe attach writes plain lines, without colours or cursor movements', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(() => slowly);
  await home.run(['start', origin.at('/film.mkv')]);
  const attached = await home.run(['attach']);
  expect(attached.code).toBe(0);
  expect(attached.stdout + attached.stderr).toContain('film.mkv');
  expect(attached.stdout + attached.stderr).not.toContain('\x1b');
});
