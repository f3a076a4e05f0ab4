// What the man pages say beyond the commands' own definitions.

export const OVERVIEW = [
  'poste downloads in the background. A download is handed to a detached worker process, one for each session, which goes on when the terminal, the shell or the log-in is gone. It is resumed after whatever ended it, and only from bytes that are provably of the same file. A file that is complete waits in temp until it is claimed, or until a hook takes it.',
  'A session is what an identifier names: letters, digits, dot, underscore and dash, at most 64, beginning with a letter or a digit. A task is one download of a session, numbered from 1 in the order added; it may be named by its number or its file name.',
  'Sizes are read as powers of 1024 (10M is 10 MiB) unless spelt out as MB. Durations are 90s, 10m or 7d; a bare number is seconds. Times are ISO 8601, 18:00 (the next one) or now+2h.',
  'With --json each command prints one object, also for an error; attach and events print one object a line. The exit code is the same as without it.',
];

export const ENVIRONMENT = [
  ['POSTE_HOME', 'Where poste keeps its state and its files. Default: $XDG_STATE_HOME/poste, else ~/.local/state/poste.'],
  ['POSTE_ID', 'The session when --id is not given; without it, default.'],
  ['HTTP_PROXY , HTTPS_PROXY , NO_PROXY', 'Proxies, as for curl; recorded when a task is added.'],
  ['NO_COLOR', 'No colours.'],
  ['POSTE_PROBE_FILE', 'A JSON file that stands for the probes of power, idleness and network; read again at every check.'],
  ['POSTE_SYSFS_ROOT', 'Stands for /sys in the power probe.'],
  ['POSTE_POLICY_POLL , POSTE_POLICY_HOLD', 'Seconds between two looks at the conditions, and seconds that they must last before they count.'],
  ['POSTE_BACKOFF', 'Seconds that the first wait before another try lasts at most (1); the longer ones are multiples of it.'],
  ['POSTE_CONNECTIONS_PER_HOST', 'Connections to one server over all sessions (16); --connections N asks for its own.'],
];

export const HOOK_ENVIRONMENT = [
  ['POSTE_EVENT', 'finished, failed or complete.'],
  ['POSTE_EVENT_ID', 'The same for each run of one hook, so that a repeated run can be told.'],
  ['POSTE_ID , POSTE_TASK', 'The session and the number of the task.'],
  ['POSTE_FILE , POSTE_NAME , POSTE_SIZE , POSTE_SHA256', 'The finished file in temp, its name, its bytes and its digest.'],
  ['POSTE_URL , POSTE_TO', 'Where it came from, without secrets, and where it is to go.'],
  ['POSTE_STATUS , POSTE_ERROR_CODE', 'The state of the task, and the code of its error.'],
];

export const FILES = [
  ['$POSTE_HOME/sessions/ID/', 'One session: its journal, its lock, the parts of files under way and the finished files. Removed by poste forget.'],
];

export const EXIT_MEANING = {
  0: 'Done.',
  1: 'Internal error.',
  2: 'Usage: nothing was created.',
  3: 'Not found (404, 410).',
  5: 'Stalled, or the time to give up has passed.',
  6: 'Network: connect, reset, proxy.',
  7: 'Unfinished: still running, waiting, interrupted, detached.',
  9: 'Disk full.',
  11: 'The session is owned on another host.',
  13: 'The destination exists.',
  14: 'The destination cannot be written, or the move failed.',
  17: 'Input or output error.',
  19: 'DNS.',
  22: 'Another HTTP status, or a malformed answer.',
  23: 'Redirects: too many, or refused.',
  24: 'Authentication (401, 403, 407).',
  29: 'Server overloaded (429, 5xx), and the retries are used up.',
  32: 'The checksum does not match.',
  33: 'The remote file keeps changing.',
  34: 'TLS verification.',
  36: 'Larger than --max-size.',
  37: 'A hook failed; the file is kept.',
  38: 'The worker did not start, or does not answer.',
  40: 'No such session.',
  41: 'Nothing to claim, no such task, or no file to verify.',
  42: 'Claimed already, elsewhere.',
  44: 'Cancelled.',
  45: 'The state is damaged, or from a newer version.',
  46: 'Several tasks failed in different ways.',
  124: 'The time of --timeout passed; the worker goes on.',
  130: 'The command was interrupted (143: terminated).',
};
