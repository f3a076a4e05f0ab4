import { askBus, type Finding, type ProbeContext } from './probe.js';

/** NetworkManager's NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no. */
const METERED = {
  '1': { value: 'yes', detail: 'the network is metered' },
  '2': { value: 'no', detail: 'the network is unmetered' },
  '3': { value: 'yes', detail: 'the network is probably metered' },
  '4': { value: 'no', detail: 'the network is probably unmetered' },
} as const;

/** On a metered network? Linux with NetworkManager; unknown elsewhere. */
export async function probeMetered(context: ProbeContext): Promise<Finding> {
  const source = 'org.freedesktop.NetworkManager';
  if (process.platform !== 'linux') return { value: 'unknown', detail: `no network probe on ${process.platform}`, source: 'none' };
  const answer = await askBus(context, 'system', 'get-property', source, '/org/freedesktop/NetworkManager', source, 'Metered');
  const known = /^u ([1-4])\b/.exec(answer ?? '')?.[1];
  if (known !== '1' && known !== '2' && known !== '3' && known !== '4') {
    return { value: 'unknown', detail: 'NetworkManager does not say whether the network is metered', source };
  }
  return { ...METERED[known], source };
}
