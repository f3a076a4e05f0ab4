import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Canaries } from '../support/canaries.js';
import { makeCertificates } from '../support/certificates.js';
import { content, inTurn, raw, redirect, serve, sha256, startOrigin, status, type Behaviour, type OriginRequest } from '../support/origin.js';
import { kill, makeHome, type Home, type Result } from '../support/poste.js';
import { until } from '../support/wait.js';

const file = content('secrets', 300_000);
const served = serve(file, { etag: '"1"' });
/** Where secrets are while their tasks need them. */
const KEPT = /^sessions\/[^/]+\/(secrets\.json|inbox\/|\.secrets\.json\.)/;
const QUICK = { POSTE_BACKOFF: '0.02' };

/** All that a request carried, as a server might repeat it. */
function repeated({ path, rawHeaders }: OriginRequest): string {
  return `${path} ${rawHeaders.map(([, value]) => value).join(' ')}`.slice(0, 4000);
}

/** A server that repeats what it was sent wherever an answer has room for it. */
function echoing(request: OriginRequest): Behaviour {
  const { path } = request;
  const said = repeated(request);
  if (path.includes('/phrase')) return raw(`HTTP/1.1 ${path.includes('forbidden') ? 403 : 503} ${said}\r\nContent-Length: 0\r\n\r\n`);
  if (path.includes('/loop')) return redirect(`/loop/${encodeURIComponent(said.replaceAll(/[/?]/g, ' '))}`.slice(0, 2000));
  if (path.includes('/scheme')) return redirect(`ftp://127.0.0.1/${encodeURIComponent(said)}`);
  if (path.includes('/host')) return redirect(`http://${request.headers.get('x-api-key') ?? 'none'}.invalid:1/`);
  if (path.includes('/garbage')) return raw(`${said}\r\n\r\n`);
  if (path.includes('/header')) return raw(`HTTP/1.1 200 OK\r\n${said}\r\n\r\n`);
  if (path.includes('/named/')) return serve(file, { etag: '"1"', extraHeaders: [['Content-Disposition', `attachment; filename="${request.headers.get('x-api-key') ?? ''}.bin"`]] });
  if (path.includes('/slow')) return serve(file, { etag: '"1"', ...(request.n < 1000 ? { stallAt: 100_000 } : {}) });
  return served;
}

/** Runs commands and keeps all that they printed. */
function recorder(home: Home): { run: (args: readonly string[], env?: Record<string, string>) => Promise<Result>; printed: () => string } {
  let text = '';
  return {
    run: async (args, env = {}) => {
      const result = await home.run(args, { env: { ...QUICK, ...env }, timeoutMs: 60_000 });
      text += result.stdout + result.stderr;
      return result;
    },
    printed: () => text,
  };
}

test('#23 #33 #100 no secret is seen where it must not be, whoever repeats it, and none is left', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using certificates = await makeCertificates();
  await using origin = await startOrigin(echoing);
  await using secure = await startOrigin(() => served, { tls: certificates.good });
  await using proxy = await startOrigin((request) => (request.path.includes('refused') ? raw(`HTTP/1.1 502 ${repeated(request)}\r\nContent-Length: 0\r\n\r\n`) : served));
  const secrets = new Canaries();
  secrets.add('client key', (await readFile(certificates.client.keyFile, 'utf8')).split('\n')[1] ?? '');
  await writeFile(join(home.cwd, 'headers.txt'), `X-From-File: ${secrets.of('header file')}\n`);
  await writeFile(join(home.cwd, 'cookies.txt'), `127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t${secrets.of('cookie')}\n`);
  await writeFile(join(home.cwd, 'netrc'), `machine 127.0.0.1 login me password ${secrets.of('netrc')}\n`, { mode: 0o600 });
  const dump = join(home.root, 'dump');
  await mkdir(dump);
  const seen = `cat /proc/$$/environ /proc/$$/cmdline /proc/$PPID/environ /proc/$PPID/cmdline`;
  await writeFile(join(home.root, 'bin', 'busctl'), `#!/bin/sh\n{ ${seen}; } > ${dump}/probe\n`, { mode: 0o755 });
  const hook = `{ ${seen}; env; cat; } > ${dump}/hook-$POSTE_TASK`;
  const { run, printed } = recorder(home);
  const stranger = { STRANGER: secrets.of('stranger'), AWS_SECRET_ACCESS_KEY: secrets.of('stranger') };
  const given = [
    ...['-H', `X-Api-Key: ${secrets.of('header')}`, '--header-file', 'headers.txt', '--cookie-file', 'cookies.txt'],
    ...['--cacert', certificates.caFile, '--cert', certificates.client.certFile, '--key', certificates.client.keyFile],
    ...['--jobs', '20', '--retries', '1', '--on-finish', hook, '--on-complete', hook, '--only-if', `{ ${seen}; } > ${dump}/only-if`, '--discretionary', '--when', 'ac-or-idle'],
  ];
  const query = `?token=${secrets.of('query')}&${secrets.of('bare')}#${secrets.of('fragment')}`;
  const paths = ['good', 'slow', 'phrase', 'phrase-forbidden', 'loop', 'scheme', 'host', 'garbage', 'header', 'named/'].map((path) => origin.at(`/${path}${query}`));
  const own = `http://${secrets.of('user')}:${secrets.of('password')}@127.0.0.1:${origin.port}`;
  const env = { ...stranger, TOKEN: secrets.of('bearer') };
  expect((await run(['start', ...given, '--bearer-env', 'TOKEN', ...paths, secure.at('/tls')], env)).code).toBe(0);
  expect((await run(['start', '--json', `${own}/userinfo`, `${own}/phrase-userinfo`, '--retries', '1'], env)).code).toBe(0);
  expect((await run(['start', '--netrc-file', 'netrc', origin.at('/netrc'), origin.at('/phrase-netrc'), '--retries', '1'], env)).code).toBe(0);
  const through = (name: string): string => `http://${secrets.of(`${name} user`)}:${secrets.of(name)}@127.0.0.1:${proxy.port}`;
  expect((await run(['start', '--retries', '1', 'http://proxied.example/refused'], { ...env, HTTP_PROXY: through('proxy of the environment') })).code).toBe(0);
  expect((await run(['start', '--retries', '1', '--proxy', through('proxy'), 'http://proxied.example/refused-too', 'http://proxied.example/ok'], env)).code).toBe(0);

  const busy = await until('all but the slow one to have an end', async () => {
    const session = await home.status();
    return session.tasks.every(({ state, name, waiting }) => state === 'failed' || state === 'finished' || (name === 'slow' && state === 'running') || waiting.length > 1) && session;
  }, { deadlineMs: 40_000 });
  expect(await readFile(join(home.sessionDir(), 'secrets.json'), 'utf8')).toContain(secrets.of('header'));
  expect(await secrets.below(home.dir, KEPT)).toEqual([]);
  expect(await secrets.inProcesses([process.pid])).toEqual([]);
  for (const [told, to] of [['header', origin], ['header file', origin], ['bearer', origin], ['cookie', origin], ['query', origin], ['password', origin], ['netrc', origin], ['proxy', proxy], ['proxy of the environment', proxy]] as const) {
    expect(to.log.flatMap((request) => secrets.in(repeated(request)))).toContain(told);
  }
  expect(origin.log.flatMap((request) => secrets.in(repeated(request)))).not.toContain('fragment');
  expect(secure.log.map(({ clientCertificate }) => clientCertificate)).toContain('poste test client');

  // A worker that dies with all of it in its memory.
  kill(busy.worker?.pid ?? 0);
  origin.script = (request) => (request.path.includes('/slow') ? served : echoing(request));
  await run(['attach', '--since', 'start'], { ...env, POSTE_DEBUG: '1' });
  for (const args of [['status', '--explain', '--id', 'default'], ['status', '--json'], ['events', '--json'], ['claim', '--json', '--to', 'got/'], ['attach', '--json', '--since', 'start']]) await run(args, env);
  expect(secrets.in(printed())).toEqual([]);
  expect((await readFile(join(dump, 'hook-1'), 'latin1')).length).toBeGreaterThan(100);
  expect((await readFile(join(dump, 'only-if'), 'latin1')).length).toBeGreaterThan(100);
  expect(await secrets.below(dump)).toEqual([]);
  await home.workerGone();
  expect(await secrets.below(home.dir, KEPT)).toEqual([]);
  // What failed keeps its own for a retry, until that is given up.
  const failed = (await home.status()).tasks.filter(({ state }) => state === 'failed');
  expect(failed.length).toBeGreaterThan(6);
  await run(['cancel', ...failed.map(({ task }) => String(task))]);
  expect(await secrets.below(home.dir)).toEqual([]);
  for (const name of ['good', 'slow', 'tls']) expect(sha256(await readFile(join(home.cwd, 'got', name)))).toBe(sha256(file));
});

test('#40 killed at any moment, nobody leaves a secret lying about', { timeout: 180_000 }, async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(inTurn(serve(file, { etag: '"1"', bytesPerSecond: 400_000 })));
  const secrets = new Canaries();
  const args = ['start', '-H', `X-Api-Key: ${secrets.of('header')}`, origin.at(`/file?token=${secrets.of('query')}`)];
  for (let round = 0; round < 5; round += 1) {
    const starting = home.spawn(args, { env: QUICK });
    await delay(150 + round * 120);
    starting.abandon();
    for (const pid of round % 2 === 0 ? await home.processes() : []) kill(pid);
  }
  // What an asker was killed in the writing of may be somebody's who lives, until it is ten minutes old.
  await home.sh('find "$POSTE_HOME" -name ".*.tmp" -exec touch -d "11 minutes ago" {} +');
  expect((await home.run([...args, '--wait', '--to', './'], { env: QUICK, timeoutMs: 60_000 })).code).toBe(0);
  await home.workerGone();
  expect(await secrets.below(home.dir)).toEqual([]);
  expect(sha256(await readFile(join(home.cwd, 'file')))).toBe(sha256(file));
});

test('#104 what is refused is not repeated, whatever stands beside it', async () => {
  await using home = await makeHome();
  const secrets = new Canaries();
  const secret = secrets.of('any');
  await writeFile(join(home.cwd, 'list.txt'), `http://127.0.0.1:9/a?t=${secret}\n  header=${secret}\n`);
  await writeFile(join(home.cwd, 'headers.txt'), `${secret}\n`);
  await writeFile(join(home.cwd, 'cookies.txt'), `127.0.0.1 ${secret}\n`);
  await writeFile(join(home.cwd, 'netrc'), `machine a password "${secret}\n`);
  await writeFile(join(home.cwd, 'pem'), `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`);
  const url = `http://u:${secret}@127.0.0.1:9/a?t=${secret}`;
  const beside = ['start', '-H', `X-Api-Key: ${secret}`];
  const refused: readonly (readonly string[])[] = [
    [...beside, '--max-size', 'large', url],
    [...beside, url, `ftp://u:${secret}@127.0.0.1/?${secret}`],
    [...beside, '-H', `X-Bad: ${secret}\nX: y`, url],
    ['start', '--bearer-env', secret, url],
    ['start', '--header-file', `Authorization: ${secret}`, url],
    ['start', `--heade=X: ${secret}`, url],
    ['start', '--proxy', `socks5://u:${secret}@127.0.0.1`, url],
    ['start', '-i', 'list.txt'],
    ['start', '--header-file', 'headers.txt', url],
    ['start', '--cookie-file', 'cookies.txt', url],
    ['start', '--netrc-file', 'netrc', url],
    ['start', '--cert', 'pem', url],
    ['start', '--key', 'pem', url],
    ['start', '--netrc', url],
    ['start', '--checksum-file', 'headers.txt', url],
    ['start', '--checksum-file', 'https://127.0.0.1:9/SUMS', url],
  ];
  const results = await Promise.all(refused.map((args, index) => home.run(index % 2 === 0 ? args : [...args, '--json'])));
  results.forEach(({ code, stdout, stderr }, index) => {
    expect({ args: refused[index], code, found: secrets.in(stdout + stderr), lines: (stdout + stderr).split('\n').length }).toEqual({ args: refused[index], code: 2, found: [], lines: 2 });
  });
  expect(await home.files()).toEqual([]);
});

test('#23 a new link to another origin takes the file there, and none of what was for the old one', async () => {
  await using home = await makeHome();
  await using old = await startOrigin(() => serve(file, { etag: '"1"', stallAt: 150_000 }));
  await using other = await startOrigin(() => served);
  const secrets = new Canaries();
  const header = ['-H', `X-Api-Key: ${secrets.of('old')}`];
  await home.run(['start', ...header, '-H', 'Accept-Language: de', old.at('/file')], { env: QUICK });
  await until('half of it to be here', async () => ((await home.status()).tasks[0]?.bytesReceived ?? 0) > 80_000);
  expect((await home.run(['set', '1', '--url', `${other.at('/file')}?sig=${secrets.of('signature')}`])).code).toBe(0);
  expect(await secrets.below(home.dir, /secrets\.json$/)).toEqual([]);
  expect(await readFile(join(home.sessionDir(), 'secrets.json'), 'utf8')).not.toContain(secrets.of('old'));
  expect((await home.run(['claim', '--wait'])).code).toBe(0);
  expect(sha256(await readFile(join(home.cwd, 'file')))).toBe(sha256(file));
  expect(other.log.flatMap((request) => secrets.in(repeated(request)))).toEqual(['signature']);
  expect(other.log[0]?.headers.get('accept-language')).toBe('de');
  expect(other.log[0]?.range?.start).toBeGreaterThan(0);
});

test('the same start again without its headers goes on with those it has', async () => {
  await using home = await makeHome();
  await using origin = await startOrigin(({ headers }) => (headers.has('x-api-key') ? served : status(401)));
  await home.run(['start', '--paused', '-H', 'X-Api-Key: wrong', origin.at('/file')]);
  expect((await home.run(['start', '-H', 'X-Api-Key: right', origin.at('/file')])).code).toBe(0);
  expect((await home.run(['start', origin.at('/file')])).code).toBe(0);
  await home.run(['resume']);
  expect((await home.run(['claim', '--wait'], { env: QUICK })).code).toBe(0);
  expect(origin.log.map(({ headers }) => headers.get('x-api-key'))).toEqual(['right']);
});

