import { EXIT_CODE } from '../domain/errors.js';
import { outcomeCode } from '../session/outcome.js';
import { ask, type Asking } from '../session/ask.js';
import { eventJson } from '../session/event-json.js';
import type { Following, Observation } from '../session/follow.js';
import { sessionJson } from '../session/status.js';
import { barView } from './bar-view.js';
import { endedCode, observe, timedOut } from './observe.js';
import type { Output } from './output.js';
import { lineView, SILENT_VIEW, type ProgressView } from './progress-view.js';

export interface AttachChoices {
  readonly since: Following['since'];
  readonly ack: boolean;
  readonly revive: boolean;
  readonly timeoutMs: number | null;
}

/** The whole of `attach`: shows the session until it has an outcome. Returns the exit code. */
export async function attach(asking: Asking, choices: AttachChoices, output: Output): Promise<number> {
  // Until there is an outcome, a reader that goes away leaves the session unfinished.
  process.exitCode = EXIT_CODE.unfinished;
  const view = output.json ? jsonView(output) : output.quiet ? SILENT_VIEW : textView(process.stdout, (line) => output.result(line));
  const observed = await observe({ asking, since: choices.since, revive: choices.revive }, choices.timeoutMs, view);
  if (choices.ack && !observed.session.forgotten) await ask({ ...asking, needsWorker: false }, { kind: 'acknowledge', upTo: observed.lastSeq });
  if (observed.ended === 'timeout') throw timedOut(asking.id);
  if (observed.ended !== null) {
    output.note(`detached; session ${asking.id} goes on. Come back with: poste attach --id ${asking.id}`);
    return endedCode(observed.ended, 'attach');
  }
  return outcomeCode(observed.session);
}

export function textView(stream: NodeJS.WriteStream, write: (line: string) => void): ProgressView {
  return stream.isTTY ? barView(stream) : lineView(write, Date.now);
}

/** NDJSON: what has a `seq` is in the journal; `snapshot`, `progress` and `caught-up` are not. */
function jsonView(output: Output): ProgressView {
  return {
    show: async (observation) => {
      output.object(await observationJson(observation));
    },
    end: () => undefined,
  };
}

async function observationJson(observation: Observation): Promise<object> {
  const time = new Date().toISOString();
  switch (observation.kind) {
    case 'snapshot':
      return { schema: 1, type: 'snapshot', time, session: await sessionJson(observation.view) };
    case 'event':
      return eventJson(observation.event);
    case 'caught-up':
      return { schema: 1, type: 'caught-up', time, lastSeq: observation.lastSeq };
    case 'progress':
      return {
        schema: 1,
        type: 'progress',
        time: new Date(observation.progress.at).toISOString(),
        tasks: Object.entries(observation.progress.tasks).map(([task, { received, total, ...rest }]) => ({
          task: Number(task),
          bytesReceived: received,
          bytesExpected: total,
          ...rest,
        })),
      };
  }
}
