import type { Socket } from 'node:dgram';

/** What a name server says of a name: its addresses, none of this family, no such name, that it failed, or nothing at all. */
export type NameAnswer = { readonly a?: readonly string[]; readonly aaaa?: readonly string[] } | 'no such name' | 'failure' | 'silence';

const A = 1;
const AAAA = 28;

/** A name server over `socket` that answers as `script` says at this moment, and counts what it was asked. */
export class NameServer implements Disposable {
  script: (name: string) => NameAnswer;
  questions = 0;
  readonly #socket: Socket;

  constructor(socket: Socket, script: (name: string) => NameAnswer) {
    this.script = script;
    this.#socket = socket;
    socket.on('message', (query, from) => {
      this.questions += 1;
      const reply = replyTo(query, this.script);
      if (reply !== null) socket.send(reply, from.port, from.address);
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** RFC 1035, sections 4.1 and 3.4; one question a message. */
function replyTo(query: Buffer, script: NameServer['script']): Buffer | null {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(12, at + 5);
  const answer = script(labels.join('.').toLowerCase());
  if (answer === 'silence') return null;
  const addresses = typeof answer === 'string' ? [] : type === A ? (answer.a ?? []).map(ipv4) : type === AAAA ? (answer.aaaa ?? []).map(ipv6) : [];
  const code = answer === 'failure' ? 2 : answer === 'no such name' ? 3 : 0;
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(address.length, 10);
    return Buffer.concat([record, address]);
  });
  return Buffer.concat([head, question, ...records]);
}

function ipv4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** In full, without `::`. */
function ipv6(text: string): Buffer {
  return Buffer.from(text.split(':').map((group) => group.padStart(4, '0')).join(''), 'hex');
}
