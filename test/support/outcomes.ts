import { expect } from 'vitest';
import { altered, content, hangUp, raw, redirect, serve, silence, startOrigin, status, type Behaviour } from './origin.js';
import { makeHome, type StartAnswer } from './poste.js';

export const file = content('exit codes', 50_000);
export const good = serve(file, { etag: '"a"' });
const endless = serve(file, { ranges: 'ignore', chunked: true, extraBytes: Infinity });

interface Row {
  readonly behaviour: Behaviour;
  readonly flags?: readonly string[];
  readonly code: number;
}

let version = 0;
/** Another ETag and other bytes at each request, and never the whole of them. */
const everChanging: Behaviour = async (exchange) => {
  version += 1;
  return serve(altered(file, version), { etag: `"${version}"`, truncateAt: 30_000 })(exchange);
};

const ONE_RETRY = ['--retries', '1'] as const;

/** How one download ends, and the exit code of whoever waits for it. */
export const OUTCOMES: Readonly<Record<string, Row>> = {
  'a good file': { behaviour: good, code: 0 },
  'an empty file': { behaviour: serve(Buffer.alloc(0), { etag: '"0"' }), code: 0 },
  '404': { behaviour: status(404), code: 3 },
  '410': { behaviour: status(410), code: 3 },
  '401': { behaviour: status(401), code: 24 },
  '403': { behaviour: status(403), code: 24 },
  '407': { behaviour: status(407), code: 24 },
  '418': { behaviour: status(418), code: 22 },
  '#29 204': { behaviour: status(204), code: 22 },
  '#28 an answer that is no HTTP': { behaviour: raw('hello\n'), flags: ONE_RETRY, code: 22 },
  '#15 two lengths': { behaviour: raw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'), flags: ONE_RETRY, code: 22 },
  '#19 500, retries used up': { behaviour: status(500), flags: ONE_RETRY, code: 29 },
  '#18 503, retries used up': { behaviour: status(503), flags: ONE_RETRY, code: 29 },
  '#18 429, retries used up': { behaviour: status(429), flags: ONE_RETRY, code: 29 },
  'a connection that is reset': { behaviour: hangUp('rst'), flags: ONE_RETRY, code: 6 },
  'a connection that is closed': { behaviour: hangUp(), flags: ONE_RETRY, code: 6 },
  '#26 no answer': { behaviour: silence(), flags: ['--stall-timeout', '1s', '--retries', '0'], code: 5 },
  'a deadline that passes': { behaviour: silence(), flags: ['--give-up-after', '1s'], code: 5 },
  'another checksum': { behaviour: good, flags: ['--checksum', `sha256:${'0'.repeat(64)}`], code: 32 },
  '#14 larger than allowed': { behaviour: good, flags: ['--max-size', '40K'], code: 36 },
  '#14 endless, and larger than allowed': { behaviour: endless, flags: ['--max-size', '200K'], code: 36 },
  'another size than promised': { behaviour: good, flags: ['--expect-size', '49999'], code: 22 },
  '#22 a redirect to itself': { behaviour: redirect('/file'), code: 23 },
  '#22 a redirect to a file of this machine': { behaviour: redirect('file:///etc/passwd'), code: 23 },
  '#6 a file that keeps changing': { behaviour: everChanging, code: 33 },
};

/** `start --wait` ends with the code of the table. */
export async function expectOutcome({ behaviour, flags = [], code }: Row): Promise<void> {
  await using home = await makeHome();
  await using origin = await startOrigin(() => behaviour);
  const result = await home.run(['start', '--wait', '--json', ...flags, origin.at('/file')]);
  expect({ code: result.code, output: result.code === code ? '' : result.stdout + result.stderr }).toEqual({ code, output: '' });
  const ended = code === 0 ? { state: 'finished' } : { state: 'failed', error: { exitCode: code } };
  expect(result.json<StartAnswer>().tasks).toMatchObject([ended]);
}
