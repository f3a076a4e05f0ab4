import type { Work } from './work.js';
import { memory } from './works/memory.js';
import { drops, limited, loopback, roundTrip, slowConnection } from './works/one-file.js';
import { queue } from './works/queue.js';
import { refetch } from './works/refetch.js';
import { smallFiles } from './works/small-files.js';
import { startUp } from './works/start-up.js';

/** In the order in which they are run. */
export const WORKS: readonly Work[] = [loopback, limited, slowConnection, drops, smallFiles, roundTrip, startUp, memory, queue, refetch];
