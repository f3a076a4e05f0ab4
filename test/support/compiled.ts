import { mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

/** Compiles folders and files of the project, so that plain Node runs them, into a folder of the same layout; returns it. To be removed. */
export async function compile(...sources: readonly string[]): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'poste-compiled-'));
  await symlink(join(PROJECT, 'node_modules'), join(target, 'node_modules'));
  await writeFile(join(target, 'package.json'), await readFile(join(PROJECT, 'package.json')));
  for (const source of sources) {
    const files = source.endsWith('.ts') ? [source] : (await readdir(join(PROJECT, source))).map((name) => join(source, name));
    await mkdir(join(target, source.endsWith('.ts') ? dirname(source) : source), { recursive: true });
    for (const file of files.filter((name) => name.endsWith('.ts'))) {
      const { outputText } = ts.transpileModule(await readFile(join(PROJECT, file), 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      await writeFile(join(target, file.replace(/\.ts$/, '.js')), outputText);
    }
  }
  return target;
}
