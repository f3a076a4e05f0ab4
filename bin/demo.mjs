// The main job, shown on a server of its own: start a download, kill its worker with -9 half way, attach by the same
// identifier, claim, and compare. Everything happens in a temporary directory and on loopback.
import { spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SIZE = 200 * 1024 * 1024;
const BLOCK = 256 * 1024;
const BYTES_PER_SECOND = 50 * 1024 * 1024;
const POSTE = fileURLToPath(new URL('run.js', import.meta.url));

const root = await mkdtemp(join(tmpdir(), 'poste-demo-'));
const home = join(root, 'home');
const counted = { requests: 0, bodyBytes: 0 };
/** All connections share one line. */
let lineFreeAt = 0;
const server = createServer(serve).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const url = `http://127.0.0.1:${server.address().port}/demo.bin`;

try {
  await poste('start', '--id', 'demo', url);
  const pid = await worker();
  const killAt = SIZE * (0.3 + 0.4 * Math.random());
  while (counted.bodyBytes < killAt) await delay(20);
  console.log(`\n$ kill -9 ${pid}            # the worker, at ${mebibytes(counted.bodyBytes)} of ${mebibytes(SIZE)}`);
  process.kill(pid, 'SIGKILL');
  await delay(300);
  await poste('status', '--id', 'demo');
  await poste('attach', '--id', 'demo');
  await poste('claim', '--id', 'demo', '--to', `${root}/`);

  const sent = await digest(content(0, SIZE));
  const claimed = await digest(createReadStream(join(root, 'demo.bin')));
  console.log(`
what the server has:  sha256 ${sent}
what was claimed:     sha256 ${claimed}  ${sent === claimed ? '(the same)' : '(DIFFERENT)'}
sent by the server:   ${mebibytes(counted.bodyBytes)} in ${counted.requests} requests for a file of ${mebibytes(SIZE)}
sent twice:           ${counted.bodyBytes - SIZE} bytes

For a URL of your own:
  node bin/run.js start https://…      hand it over, and walk away
  node bin/run.js attach               watch it
  node bin/run.js claim                take the file`);
  process.exitCode = sent === claimed ? 0 : 1;
} finally {
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true });
}

/** Types a command, shows it and what it prints. */
async function poste(...args) {
  console.log(`\n$ poste ${args.join(' ')}`);
  const child = spawn(process.execPath, [POSTE, ...args], { env: { ...process.env, POSTE_HOME: home }, stdio: 'inherit' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`poste ${args[0]} ended with exit code ${code}`);
}

/** The worker's process id. */
async function worker() {
  const child = spawn(process.execPath, [POSTE, 'status', '--id', 'demo', '--json'], { env: { ...process.env, POSTE_HOME: home } });
  const chunks = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()).sessions[0].worker.pid;
}

/** A plain file server: one file, a strong ETag, byte ranges, a rate for all connections together, and a count of what was sent. */
async function serve(request, response) {
  counted.requests += 1;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const start = from === undefined ? 0 : Number(from);
  const end = to ? Math.min(Number(to), SIZE - 1) : SIZE - 1;
  response.writeHead(from === undefined ? 200 : 206, {
    etag: '"demo-1"',
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'content-length': end - start + 1,
    ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${SIZE}` }),
  });
  for await (const chunk of content(start, end + 1)) {
    if (response.destroyed) return;
    lineFreeAt = Math.max(lineFreeAt, performance.now()) + (chunk.length / BYTES_PER_SECOND) * 1000;
    const early = lineFreeAt - performance.now();
    if (early > 5) await delay(early);
    if (!response.write(chunk)) await drained(response);
    counted.bodyBytes += chunk.length;
  }
  response.end();
}

/** The file's bytes from `start` to `end`: a key stream, so that any part can be made without the rest. */
async function* content(start, end) {
  for (let block = Math.floor(start / BLOCK); block * BLOCK < end; block += 1) {
    const nonce = Buffer.alloc(16);
    nonce.writeUInt32BE(block, 0);
    const bytes = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), nonce).update(Buffer.alloc(BLOCK));
    yield bytes.subarray(Math.max(0, start - block * BLOCK), Math.min(BLOCK, end - block * BLOCK));
  }
}

async function digest(chunks) {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

function mebibytes(bytes) {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
