import { expect, test } from 'vitest';
import { printable } from '../../src/domain/printable.js';
import { content, serve, startOrigin } from '../support/origin.js';
import { makeRig } from './rig.js';

const file = content('names', 100);

/** What a server says in Content-Disposition, as it stands on the wire, and what the file is called. */
test.each<[string, string, string]>([
  ['an encoded slash', `attachment; filename*=UTF-8''%2e%2e%2f%2e%2e%2fetc%2fpasswd`, 'passwd'],
  ['an encoded backslash', `attachment; filename*=UTF-8''..%5c..%5cboot.ini`, 'boot.ini'],
  ['percent signs that were decoded already', 'attachment; filename="%2e%2e%2fpasswd"', '%2e%2e%2fpasswd'],
  ['a path upwards', 'attachment; filename="../../etc/passwd"', 'passwd'],
  ['an absolute path', 'attachment; filename="/etc/passwd"', 'passwd'],
  ['a drive', 'attachment; filename="C:evil.exe"', 'C_evil.exe'],
  ['a stream', 'attachment; filename="a.txt:hidden"', 'a.txt_hidden'],
  ['a device', 'attachment; filename="CON"', 'CON_'],
  ['a device with an extension', 'attachment; filename="nul.tar.gz"', 'nul_.tar.gz'],
  ['a leading dot', 'attachment; filename=".bashrc"', 'bashrc'],
  ['a leading dash', 'attachment; filename="-rf"', 'rf'],
  ['a reversed extension', `attachment; filename*=UTF-8''photo%E2%80%AEgpj.exe`, 'photogpj.exe'],
  ['escapes', `attachment; filename*=UTF-8''%1b%5b2J%1b%5d0%3bowned%07film.mkv`, '[2J]0;ownedfilm.mkv'],
  ['nothing', 'attachment; filename=""', 'download'],
  ['only dots', 'attachment; filename=".."', 'download'],
  ['rubbish', 'attachment; filename*=UTF-8', 'download'],
])('#101 a name from the server, %s: one harmless name', async (_what, disposition, name) => {
  await using origin = await startOrigin(() => serve(file, { extraHeaders: [['Content-Disposition', disposition]] }));
  await using rig = await makeRig({ url: origin.at('/'), name: 'download', namedBy: 'default' });
  const outcome = await rig.run();
  expect(outcome).toMatchObject({ kind: 'complete', name });
  expect(printable(name)).toBe(name);
});

test('#69 #101 a name of 300 bytes from the server is shortened, and keeps its extension', async () => {
  await using origin = await startOrigin(() => serve(file, { extraHeaders: [['Content-Disposition', `attachment; filename="${'x'.repeat(300)}.iso"`]] }));
  await using rig = await makeRig({ url: origin.at('/'), name: 'download', namedBy: 'default' });
  const outcome = await rig.run();
  expect(outcome.kind === 'complete' && outcome.name).toMatch(/^x{240,251}\.iso$/);
});
