import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChecksum } from '../../src/domain/checksum.js';

const hex = (digits: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));

describe('parseChecksum', () => {
  it.each([
    ['sha256', 64, false],
    ['sha512', 128, false],
    ['sha1', 40, true],
  ])('reads %s, in either case and in aria2\'s spelling', (algorithm, digits, weak) => {
    fc.assert(
      fc.property(hex(digits), fc.constantFrom(':', '='), fc.boolean(), fc.boolean(), (digest, separator, upper, dash) => {
        const spelled = dash ? algorithm.replace('sha', 'sha-') : algorithm;
        const text = `${spelled}${separator}${digest}`;
        expect(parseChecksum(upper ? text.toUpperCase() : text)).toEqual({ checksum: { algorithm, hex: digest }, weak });
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    ['md5:d41d8cd98f00b204e9800998ecf8427e', /md5 proves nothing/],
    ['MD5:d41d8cd98f00b204e9800998ecf8427e', /md5 proves nothing/],
    ['crc32:00000000', /crc32 is no checksum that poste knows/],
    [`sha256:${'a'.repeat(63)}`, /64 digits, not 63/],
    [`sha256:${'a'.repeat(65)}`, /64 digits, not 65/],
    [`sha1:${'a'.repeat(64)}`, /40 digits, not 64/],
    [`sha512:${'a'.repeat(64)}`, /128 digits, not 64/],
    [`sha256:${'g'.repeat(64)}`, /no hexadecimal digits/],
    [`sha256:${'a'.repeat(63)}\n`, /no hexadecimal digits/],
    ['a'.repeat(64), /is no checksum/],
    ['', /is no checksum/],
    ['sha256', /is no checksum/],
    ['sha256:', /64 digits, not 0/],
    ['\x1b[2J:00', /is no checksum/],
    ['constructor:00', /constructor is no checksum/],
  ])('refuses %j', (text, fault) => {
    const [message, hint] = [expect.stringMatching(fault) as string, expect.stringContaining('sha256:HEX') as string];
    expect(() => parseChecksum(text)).toThrow(expect.objectContaining({ code: 'usage', message, hint }) as Error);
  });
});
