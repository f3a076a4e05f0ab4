import { Flags, type Interfaces } from '@oclif/core';
import { DEFAULT_SETTINGS } from '../domain/events.js';
import { parseDuration, parseRate, parseSize, parseTime } from '../domain/quantities.js';

export const WHEN = ['ac-or-idle', 'ac', 'idle', 'ac-and-idle'] as const;
const PRIORITIES = ['high', 'normal', 'low'] as const;

const size = Flags.custom<number>({ helpValue: 'SIZE', parse: (text) => Promise.resolve(parseSize(text)) });
const duration = Flags.custom<number>({ helpValue: 'DURATION', parse: (text) => Promise.resolve(parseDuration(text)) });
const time = Flags.custom<number>({ helpValue: 'TIME', parse: (text) => Promise.resolve(parseTime(text, Date.now())) });

/** What both `start` and `set` can say; each summary is also its line in the man pages. */
export const commonFlags = {
  priority: Flags.option({ options: PRIORITIES, helpValue: 'high|normal|low', summary: 'which tasks go first (normal)' })(),
  connections: Flags.string({ helpValue: 'auto|N', summary: 'connections for each file (auto)' }),
  jobs: Flags.integer({ char: 'j', min: 1, max: 64, helpValue: 'N', summary: `files at once (${DEFAULT_SETTINGS.jobs})` }),
  'limit-rate': Flags.custom<number | null>({ helpValue: 'RATE', parse: (text) => Promise.resolve(parseRate(text)) })({
    summary: 'at most this many bytes a second, over the whole session (2M is 2 MiB/s)',
  }),
  'on-finish': Flags.string({ helpValue: 'CMD', summary: 'run for each file that finishes or fails; it may move the file' }),
  'on-complete': Flags.string({ helpValue: 'CMD', summary: 'run when the whole session has settled' }),
  'hook-timeout': duration({ summary: 'end a hook that runs longer (10m)' }),
  retain: Flags.custom<number | null>({ helpValue: 'DURATION|forever', parse: (text) => Promise.resolve(text === 'forever' ? null : parseDuration(text)) })({
    summary: 'keep a finished file so long for its claim (14d)',
  }),
};

/** The flags of `start`: each summary is also its line in the man page. */
export const startFlags = {
  ...commonFlags,
  'input-file': Flags.string({ char: 'i', helpValue: 'FILE', summary: 'read URLs from FILE ("-": standard input), one a line, options indented below' }),
  name: Flags.string({ char: 'o', helpValue: 'NAME', summary: "the file's name (one URL only)" }),
  to: Flags.string({ helpValue: 'PATH', summary: 'where claim will put it: a directory, or the file itself' }),
  label: Flags.string({ helpValue: 'TEXT', summary: 'a note of your own, shown in status' }),
  paused: Flags.boolean({ summary: 'record it, but do not begin before poste resume' }),
  new: Flags.boolean({ summary: 'a task of its own, even if the session has this URL already' }),
  'temp-dir': Flags.string({ helpValue: 'DIR', summary: 'where bytes live until they are claimed (chosen when the session is created)' }),
  checksum: Flags.string({ helpValue: 'ALGO:HEX', summary: 'the digest that the file must have: sha256, sha512 or sha1 (one URL only)' }),
  'checksum-file': Flags.string({ helpValue: 'FILE', summary: 'take the digest of each file from FILE, by its name: what sha256sum prints, or SHA256 (NAME) = HEX' }),
  'max-size': size({ summary: 'refuse anything larger' }),
  'expect-size': size({ summary: 'refuse anything of another size' }),
  header: Flags.string({ char: 'H', multiple: true, multipleNonGreedy: true, helpValue: "'Name: value'", summary: 'send this header to the origin of the URL, and only there' }),
  'header-file': Flags.string({ helpValue: 'FILE', summary: 'send the headers in FILE too, one a line' }),
  'bearer-env': Flags.string({ helpValue: 'NAME', summary: 'send the token that is in environment variable NAME' }),
  netrc: Flags.boolean({ summary: 'send the user and password that ~/.netrc has for the host of the URL' }),
  'netrc-file': Flags.string({ helpValue: 'FILE', summary: 'the same, from FILE' }),
  'cookie-file': Flags.string({ helpValue: 'FILE', summary: 'send the cookies in FILE (cookies.txt) that are for the URL' }),
  cert: Flags.string({ helpValue: 'FILE', summary: 'show the certificate in FILE (PEM) to the origin of the URL; FILE must stay where it is' }),
  key: Flags.string({ helpValue: 'FILE', dependsOn: ['cert'], summary: 'the key of that certificate (PEM), when it is in another file' }),
  proxy: Flags.string({ helpValue: 'URL', summary: 'go through this proxy (else HTTP_PROXY, HTTPS_PROXY and NO_PROXY say)' }),
  'user-agent': Flags.string({ helpValue: 'TEXT', summary: 'what to call itself' }),
  cacert: Flags.string({ helpValue: 'FILE', summary: 'trust the certificates in FILE (PEM)' }),
  insecure: Flags.boolean({ summary: 'accept any TLS certificate; recorded in the receipt' }),
  discretionary: Flags.boolean({ summary: 'run when the moment is good: see --when' }),
  when: Flags.option({ options: WHEN, dependsOn: ['discretionary'], helpValue: WHEN.join('|'), summary: 'what a good moment is (ac-or-idle)' })(),
  'only-if': Flags.string({ helpValue: 'CMD', summary: 'run only while this command exits 0' }),
  'only-unmetered': Flags.boolean({ summary: 'run only while the network is not metered' }),
  by: time({ dependsOn: ['discretionary'], summary: 'the conditions of --when relax as this time nears' }),
  'not-before': time({ summary: 'do not begin before: 18:00, now+2h, or ISO 8601' }),
  'give-up-after': duration({ default: () => Promise.resolve(7 * 86_400_000), defaultHelp: () => Promise.resolve('7d'), summary: 'fail what has not finished by then' }),
  'stall-timeout': duration({ default: () => Promise.resolve(60_000), defaultHelp: () => Promise.resolve('60s'), summary: 'reconnect when no byte comes for so long' }),
  retries: Flags.string({ default: 'forever', helpValue: 'N|forever', summary: 'failed tries in a row, without a new byte, before giving up' }),
};

export type CommonFlags = Interfaces.InferredFlags<typeof commonFlags>;
export type StartFlags = Interfaces.InferredFlags<typeof startFlags>;
