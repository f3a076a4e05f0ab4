// Who ends with a wrong file and says that all is well? The same servers for every client that is installed here; a table in Markdown.
import { installed, splicePage } from './table.js';

const page = await splicePage(installed(), new Date().toISOString().slice(0, 10));
process.stdout.write(page);
