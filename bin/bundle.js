// Bundles the commands' side and the worker into dist/, with all that they import: a start costs half of what it costs to find and read
// several hundred files. The layout is that of src/, one folder deep, so that a path relative to a module means the same in both.
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundle = await rolldown({
  cwd: root,
  input: {
    'cli/main': 'src/cli/main.ts',
    'commands/index': 'src/commands/index.ts',
    'worker/main': 'src/worker/main.ts',
    // For the man pages.
    'domain/errors': 'src/domain/errors.ts',
  },
  platform: 'node',
  // oclif asks for it when it runs from sources, which a bundle never does.
  external: ['typescript', 'ts-node'],
  logLevel: 'warn',
});
await bundle.write({ dir: 'dist', format: 'esm', chunkFileNames: 'shared/[name]-[hash].js' });
await bundle.close();
