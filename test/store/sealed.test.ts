import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal, unseal } from '../../src/store/sealed.js';

/** What JSON keeps as it is; `crc` is the seal's own. */
const record = fc.dictionary(
  fc.string({ unit: 'binary', maxLength: 8 }).filter((key) => key !== 'crc'),
  fc.jsonValue({ stringUnit: 'binary' }),
  { maxKeys: 5, noNullPrototype: true },
);

test('what was sealed comes out as it went in, on one line', () => {
  fc.assert(
    fc.property(record, (value) => {
      const line = seal(value);
      expect(line).not.toContain('\n');
      expect(unseal(line)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a text that looks like a seal is only a text', () => {
  for (const text of ['"crc":"00000000"}', ',"crc":"', '\\"crc\\":\\"', '}']) expect(unseal(seal({ text }))).toEqual({ text });
  expect(unseal(seal({}))).toEqual({});
});

test('#65 any single changed byte is noticed, or changes nothing', () => {
  const changed = fc.tuple(record, fc.nat(), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(changed, ([value, at, byte]) => {
      const bytes = Buffer.from(seal(value));
      bytes.writeUInt8(byte, at % bytes.length);
      const read = unseal(bytes.toString('utf8'));
      if (read !== null) expect(read).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 3000 },
  );
});

test('#65 a line that was cut anywhere, or has something added, is noticed', () => {
  const line = seal({ v: 1, name: 'ü'.repeat(20), nested: { list: [1, 2, 3] } });
  for (let length = 0; length < line.length; length += 1) expect(unseal(line.slice(0, length))).toBeNull();
  for (const more of [' ', '\n', '\0', '}', line]) expect(unseal(line + more)).toBeNull();
});

test('what is no sealed object is nothing', () => {
  for (const rubbish of ['', '{}', 'null', '[]', '"crc":"', '{"crc":""}', '\0'.repeat(100), '{"crc":"00000000"}']) expect(unseal(rubbish)).toBeNull();
});
