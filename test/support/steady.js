// For `node --import`: names that are random in life are the same in every run of the same program, so that a system call that one run
// made can be found again in the next by its path.
import crypto, { createHash } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const counts = new Map();

/** The functions of the program that led here, each with its file in the bundle: what happens at the same time elsewhere does not count. */
function callers() {
  const frames = (new Error().stack ?? '').split('\n').flatMap((line) => /at (?:async )?(?:Object\.)?(\S+) \(.*\/dist\/(.*?):\d/.exec(line)?.slice(1) ?? []);
  return frames.join(' ');
}

crypto.randomBytes = (size) => {
  const from = callers();
  const nth = (counts.get(from) ?? 0) + 1;
  counts.set(from, nth);
  return createHash('sha256').update(`${from} ${nth}`).digest().subarray(0, size);
};

// The time is part of a request's name, and of nothing else that the function which submits it makes.
const { now } = Date;
Date.now = () => (/^submit(\$\d+)? /.test(callers()) ? 1_700_000_000_000 : now());

syncBuiltinESMExports();
