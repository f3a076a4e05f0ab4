import Attach from './attach.js';
import Cancel from './cancel.js';
import Claim from './claim.js';
import Events from './events.js';
import Forget from './forget.js';
import Pause from './pause.js';
import Restore from './restore.js';
import Resume from './resume.js';
import Retry from './retry.js';
import SetCommand from './set.js';
import Start from './start.js';
import Status from './status.js';
import Verify from './verify.js';

/** Every command by its name: the table that oclif looks commands up in. */
export const COMMANDS = {
  attach: Attach,
  cancel: Cancel,
  claim: Claim,
  events: Events,
  forget: Forget,
  pause: Pause,
  restore: Restore,
  resume: Resume,
  retry: Retry,
  set: SetCommand,
  start: Start,
  status: Status,
  verify: Verify,
};
