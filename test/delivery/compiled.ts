import { cp, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const PROJECT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const FOLDERS = ['src/delivery', 'src/domain', 'src/platform', 'src/store', 'test/delivery'];

/** Compiles what a claimer needs into a folder that Node can run, and returns that folder. */
export async function compileClaimer(): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'poste-compiled-'));
  await symlink(join(PROJECT, 'node_modules'), join(target, 'node_modules'));
  await cp(join(PROJECT, 'package.json'), join(target, 'package.json'));
  for (const folder of FOLDERS) {
    await mkdir(join(target, folder), { recursive: true });
    for (const name of await readdir(join(PROJECT, folder))) {
      if (!name.endsWith('.ts')) continue;
      const path = join(PROJECT, folder, name);
      const { outputText } = ts.transpileModule(await readFile(path, 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      await writeFile(join(target, relative(PROJECT, path).replace(/\.ts$/, '.js')), outputText);
    }
  }
  return target;
}
