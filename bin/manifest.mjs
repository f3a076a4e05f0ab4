// Writes oclif.manifest.json, from which oclif knows every command without loading any. Run last in a build:
// a stale manifest hides new commands.
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = `${root}oclif.manifest.json`;
rmSync(file, { force: true });
const config = await Config.load({ root, devPlugins: false, userPlugins: false });
const [plugin] = config.getPluginsList();
writeFileSync(file, `${JSON.stringify(plugin.manifest, null, 2)}\n`);
