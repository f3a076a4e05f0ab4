// Bundles the commands' side and the worker into dist/, with all that they import: a start costs half of what it costs to find and read
// several hundred files. The layout is that of src/, one folder deep, so that a path relative to a module means the same in both.
import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const STRING_WIDTH = fileURLToPath(import.meta.resolve('string-width'));
const root = fileURLToPath(new URL('..', import.meta.url));
/** oclif looks for commands, plugins and its own settings with these where a manifest and package.json do not name them. */
const UNUSED = ['tinyglobby', 'minimatch', 'lilconfig'];
const commands = readdirSync(`${root}src/commands`);
const bundle = await rolldown({
  cwd: root,
  input: {
    'cli/main': 'src/cli/main.ts',
    ...Object.fromEntries(commands.map((file) => [`commands/${file.replace(/\.ts$/, '')}`, `src/commands/${file}`])),
    'worker/main': 'src/worker/main.ts',
    // For the man pages.
    'domain/errors': 'src/domain/errors.ts',
  },
  platform: 'node',
  resolve: { alias: Object.fromEntries(UNUSED.map((library) => [library, `${root}bin/unused.js`])) },
  // oclif asks for it when it runs from sources, which a bundle never does.
  external: ['typescript', 'ts-node'],
  logLevel: 'warn',
  plugins: [
    { name: 'late-unicode', transform: (code, id) => (id === STRING_WIDTH ? lateUnicode(code) : null) },
    { name: 'part-of-undici', resolveId: (source) => (source === 'undici' ? `${root}bin/undici.js` : null) },
  ],
});
// CommonJS: Node compiles it when it is called, and starts a fifth faster than from ES modules (`node bin/run.js status`, Node 20.20).
await bundle.write({ dir: 'dist', format: 'cjs', chunkFileNames: 'shared/[name]-[hash].js' });
writeFileSync(`${root}dist/package.json`, '{ "type": "commonjs" }\n');
await bundle.close();

/**
 * What string-width needs for other texts than plain ones takes 20 to 30 ms to make (the expression for emoji 10 to 20, the segmenter 16), as
 * long as all that a short command does by itself: made when such a text is measured.
 */
function lateUnicode(code) {
  const late = code
    .replace('= new Intl.Segmenter();', '= { segment: (text) => (segmenter.made ??= new Intl.Segmenter()).segment(text) };')
    .replace('= /^\\p{RGI_Emoji}$/v;', () => String.raw`= { test: (text) => (rgiEmojiRegex.made ??= new RegExp('^\\p{RGI_Emoji}$', 'v')).test(text) };`);
  if (late.split('.made ??=').length !== 3) throw new Error('string-width no longer looks as lateUnicode expects');
  return late;
}
