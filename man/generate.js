// Writes the man pages from the definitions that --help is made of. `--check` writes nothing and fails when a page is stale,
// or when mandoc has anything to say about one.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';
import { EXIT_CODE } from '../dist/domain/errors.js';
import { ENVIRONMENT, EXIT_MEANING, FILES, HOOK_ENVIRONMENT, OVERVIEW } from './text.js';

const folder = fileURLToPath(new URL('.', import.meta.url));
const config = await Config.load({ root: fileURLToPath(new URL('..', import.meta.url)), devPlugins: false, userPlugins: false });
const commands = [...config.commands].sort((a, b) => (a.id < b.id ? -1 : 1));
const undocumented = Object.values(EXIT_CODE).filter((code) => EXIT_MEANING[code] === undefined);
if (undocumented.length > 0) throw new Error(`exit codes without a meaning: ${undocumented.join(', ')}`);

const pages = new Map([['poste.1', overviewPage()], ...commands.map((command) => [`poste-${command.id}.1`, commandPage(command)])]);
const stale = [...pages].filter(([name, page]) => readOrNothing(name) !== page).map(([name]) => name);
const extra = readdirSync(folder).filter((name) => name.endsWith('.1') && !pages.has(name));

if (process.argv.includes('--check')) {
  if (stale.length + extra.length > 0) {
    console.error(`man pages differ from the commands' definitions: ${[...stale, ...extra].join(', ')}; run: npm run man`);
    process.exitCode = 1;
  }
  const complaints = lint();
  if (complaints !== '') {
    console.error(complaints);
    process.exitCode = 1;
  }
} else {
  for (const name of stale) writeFileSync(folder + name, pages.get(name));
  for (const name of extra) rmSync(folder + name);
}

/** What mandoc finds wrong. */
function lint() {
  const result = spawnSync('mandoc', ['-Tlint', ...[...pages.keys()].map((name) => folder + name)], { encoding: 'utf8' });
  return result.error === undefined ? result.stdout + result.stderr : `the man pages were not linted: ${result.error.message}`;
}

/** Not `.Xr`: mandoc's linter wants what it names to be installed on the machine that lints. */
function reference(name, end = '') {
  return `.Sy ${name} Ns Pq 1${end}`;
}

function overviewPage() {
  return page('poste', 'resumable background downloads', [
    '.Sh SYNOPSIS',
    '.Nm poste',
    '.Ar command',
    '.Op Ar options',
    '.Sh DESCRIPTION',
    ...OVERVIEW.flatMap((paragraph) => ['.Pp', ...prose(paragraph)]).slice(1),
    '.Sh COMMANDS',
    ...tagged(commands.map((command) => [`.It Cm ${command.id}`, [...prose(command.summary), 'See', reference(`poste-${command.id}`, ' .')]])),
    '.Sh ENVIRONMENT',
    ...tagged(ENVIRONMENT.map(([name, meaning]) => [`.It Ev ${name}`, prose(meaning)])),
    '.Ss In hooks',
    ...tagged(HOOK_ENVIRONMENT.map(([name, meaning]) => [`.It Ev ${name}`, prose(meaning)])),
    '.Sh FILES',
    ...tagged(FILES.map(([name, meaning]) => [`.It Pa ${name}`, prose(meaning)])),
    '.Sh EXIT STATUS',
    ...tagged(Object.entries(EXIT_MEANING).map(([code, meaning]) => [`.It ${code}`, prose(meaning)])),
    '.Sh EXAMPLES',
    'Start a download, go away, come back, take it:',
    ...literal(['poste start https://example.org/big.iso', 'poste attach', 'poste claim --to ~/iso/']),
    '.Pp',
    'In a CI job, with its outcome as the exit code:',
    ...literal(['poste start --wait --to data/ --checksum sha256:HEX https://example.org/data.tar.gz']),
    '.Sh SEE ALSO',
    ...commands.map((command, index) => reference(`poste-${command.id}`, index < commands.length - 1 ? ' ,' : '')),
  ]);
}

function commandPage(command) {
  const flags = Object.values(command.flags)
    .filter((flag) => !flag.hidden)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const args = Object.values(command.args);
  return page(`poste-${command.id}`, lowerFirst(command.summary).replace(/\.$/, ''), [
    '.Sh SYNOPSIS',
    `.Nm poste ${command.id}`,
    '.Op Ar options',
    ...args.map((arg) => `.Op Ar ${arg.name}${command.strict === false ? ' ...' : ''}`),
    '.Sh DESCRIPTION',
    ...prose(command.summary),
    ...(command.description ? ['.Pp', ...prose(command.description)] : []),
    ...(args.length === 0 ? [] : [...tagged(args.map((arg) => [`.It Ar ${arg.name}`, prose(sentence(arg.description))]))]),
    '.Sh OPTIONS',
    ...tagged(flags.map((flag) => [flagHead(flag), prose(sentence(flag.summary))])),
    '.Sh EXIT STATUS',
    'See',
    reference('poste', ' .'),
    ...(command.examples?.length > 0 ? ['.Sh EXAMPLES', ...literal(command.examples.map((text) => withNames(text, command.id)))] : []),
    '.Sh SEE ALSO',
    reference('poste'),
  ]);
}

function page(name, summary, lines) {
  // The date is the version's own: a page must not change because it was made on another day.
  return [`.\\" Made by man/generate.js: change the command's definition, not this page.`, '.Dd November 22, 2026', `.Dt ${name.toUpperCase()} 1`, '.Os', '.Sh NAME', `.Nm ${name}`, `.Nd ${escape(summary)}`, ...lines, ''].join('\n');
}

function flagHead(flag) {
  const value = flag.type === 'option' ? ` Ar ${escape(String(flag.helpValue ?? 'VALUE'))}` : '';
  const long = flag.allowNo ? `Fl -${flag.name} , Fl -no-${flag.name}` : `Fl -${flag.name}`;
  return `.It ${flag.char ? `Fl ${flag.char} , ` : ''}${long}${value}`;
}

function tagged(items) {
  return ['.Bl -tag -width Ds', ...items.flatMap(([head, body]) => [head, ...body]), '.El'];
}

/** One sentence a line, as mdoc wants it; nothing that begins a line is taken for a macro. */
function prose(text) {
  return text
    .split(/(?<=[.:;?!])\s+(?=[A-Z])/)
    .flatMap(wrapped)
    .map((line) => escape(line.trim()).replace(/^(['.])/, '\\&$1'));
}

function wrapped(text) {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line !== '' && line.length + 1 + word.length > 76) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

function literal(lines) {
  return ['.Bd -literal -offset indent', ...lines.map((line) => escape(line).replace(/^(['.])/, '\\&$1')), '.Ed'];
}

function withNames(text, id) {
  return String(text).replaceAll('<%= config.bin %>', 'poste').replaceAll('<%= command.id %>', id);
}

function escape(text) {
  return text.replaceAll('\\', '\\e').replaceAll('…', '...').replace(/[^\x20-\x7e]/g, (char) => `\\[u${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`);
}

function sentence(text) {
  const upper = text[0].toUpperCase() + text.slice(1);
  return /[.)]$/.test(upper) ? upper : `${upper}.`;
}

function lowerFirst(text) {
  return text[0].toLowerCase() + text.slice(1);
}

function readOrNothing(name) {
  try {
    return readFileSync(folder + name, 'utf8');
  } catch {
    return '';
  }
}
