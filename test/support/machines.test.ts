import { access, readFile, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificates } from './certificates.js';
import { nginxMissing, startNginx } from './nginx.js';
import { content, serve, startOrigin } from './origin.js';
import { makeHome } from './poste.js';
import { startTerminal, tmuxMissing } from './tmux.js';
import { until } from './wait.js';

test('a TLS origin is trusted with its authority, and not when it is expired, for another host or self-signed', async () => {
  await using certificates = await makeCertificates();
  const ca = await readFile(certificates.caFile, 'utf8');
  const outcome = async (tls: { key: string; cert: string }): Promise<string> => {
    await using origin = await startOrigin(() => serve(content('tls', 100_000)), { tls });
    return await new Promise((resolve) => {
      const request = httpsRequest(origin.at('/'), { ca, agent: false }, (response) => {
        let size = 0;
        response.on('data', (part: Buffer) => (size += part.length));
        response.on('end', () => resolve(`${size} bytes`));
      });
      request.on('error', (error) => resolve('code' in error ? String(error.code) : error.message)).end();
    });
  };
  expect(await outcome(certificates.good)).toBe('100000 bytes');
  expect(await outcome(certificates.expired)).toBe('CERT_HAS_EXPIRED');
  expect(await outcome(certificates.otherHost)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  expect(await outcome(certificates.selfSigned)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
});

test('a TLS connection that is cut ends the behaviour', async () => {
  await using certificates = await makeCertificates();
  await using origin = await startOrigin(() => serve(content('tls', 100_000), { stallAt: 10 }), { tls: certificates.good });
  const request = httpsRequest(origin.at('/'), { rejectUnauthorized: false, agent: false }, (response) => {
    response.once('data', () => request.destroy()).on('error', () => undefined);
  });
  request.on('error', () => undefined).end();
  await until('the cut to be noticed', () => origin.log[0]?.ended === 'client');
});

test.skipIf(nginxMissing)(`nginx serves a directory and logs every request (${nginxMissing ?? 'installed'})`, async () => {
  await using nginx = await startNginx();
  await writeFile(join(nginx.root, 'a.bin'), content('nginx', 1000));
  const response = await fetch(nginx.at('/a.bin'), { headers: { range: 'bytes=10-' } });
  expect(response.headers.get('etag')).toMatch(/^".+"$/);
  expect((await response.arrayBuffer()).byteLength).toBe(990);
  const log = await until('the log', async () => {
    const entries = await nginx.log();
    return entries.length === 1 && entries;
  });
  expect(log[0]).toMatchObject({ method: 'GET', path: '/a.bin', range: 'bytes=10-', status: 206, bodyBytesSent: 990 });
});

test.skipIf(tmuxMissing)(`a terminal shows what is drawn, takes keys and knows the exit code (${tmuxMissing ?? 'installed'})`, async () => {
  await using terminal = await startTerminal('stty size; echo "$GREETING"; trap "exit 7" INT; while :; do sleep 0.05; done', {
    env: { GREETING: 'hello there' },
    cwd: '/',
  });
  await terminal.shows(/24 80\nhello there/);
  await terminal.sendKeys('C-c');
  expect(await terminal.exitCode()).toBe(7);
});

test('a home ends what still runs in it, and goes', async () => {
  const home = await makeHome();
  const pid = Number((await home.sh('setsid sleep 1000 > log 2>&1 & echo $!')).stdout);
  expect(await home.processes()).toContain(pid);
  await home[Symbol.asyncDispose]();
  expect(await home.processes()).toEqual([]);
  await expect(access(home.root)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a command whose output is held open by a process that it left behind is given up, not waited for', async () => {
  await using home = await makeHome();
  await expect(home.sh('sleep 1000 & echo started', { timeoutMs: 300 })).rejects.toThrow(/not over after 300 ms.*started/s);
});
