import { describe, expect, it } from 'vitest';
import { parseProxy, proxiesFrom } from '../../src/domain/environment.js';

describe('proxiesFrom', () => {
  it.each([
    ['nothing set, no proxy', {}, null],
    ['empty is not set', { http_proxy: '', HTTPS_PROXY: '', NO_PROXY: '' }, null],
    ['exceptions alone are no proxy', { NO_PROXY: 'localhost' }, null],
    ['http_proxy', { http_proxy: 'http://p:3128' }, { http: 'http://p:3128/' }],
    ['HTTP_PROXY', { HTTP_PROXY: 'http://p:3128' }, { http: 'http://p:3128/' }],
    ['HTTP_PROXY in a CGI program may come from a client', { HTTP_PROXY: 'http://evil:1', REQUEST_METHOD: 'GET' }, null],
    ['http_proxy in a CGI program may not', { http_proxy: 'http://p:1', REQUEST_METHOD: 'GET' }, { http: 'http://p:1/' }],
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://p:3128' }, { https: 'http://p:3128/' }],
    ['lower case first', { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, { https: 'http://a:1/' }],
    ['an empty one is passed over', { https_proxy: '', HTTPS_PROXY: 'http://b:2' }, { https: 'http://b:2/' }],
    ['ALL_PROXY stands in', { ALL_PROXY: 'http://p:1' }, { http: 'http://p:1/', https: 'http://p:1/' }],
    ['the special one first', { all_proxy: 'http://p:1', https_proxy: 'http://q:2' }, { http: 'http://p:1/', https: 'http://q:2/' }],
    ['exceptions', { https_proxy: 'http://p:1', no_proxy: 'a,.b' }, { https: 'http://p:1/', no: 'a,.b' }],
    ['NO_PROXY', { https_proxy: 'http://p:1', NO_PROXY: '*' }, { https: 'http://p:1/', no: '*' }],
    ['user and password', { https_proxy: 'http://me:pw@p:1' }, { https: 'http://me:pw@p:1/' }],
    ['host and port alone', { https_proxy: 'p.example:3128' }, { https: 'http://p.example:3128/' }],
    ['user without a scheme', { https_proxy: 'me:pw@p.example:3128' }, { https: 'http://me:pw@p.example:3128/' }],
    ['a proxy behind TLS', { https_proxy: 'https://p.example' }, { https: 'https://p.example/' }],
  ])('%s', (_what, env, proxies) => {
    expect(proxiesFrom(env)).toEqual(proxies);
  });

  it('names the variable that is wrong', () => {
    expect(() => proxiesFrom({ https_proxy: '', HTTPS_PROXY: 'socks5://S3CRET@p:1' })).toThrow(/^HTTPS_PROXY names a socks5 proxy/);
  });
});

describe('parseProxy', () => {
  const bad = ['socks5://S3CRET@p:1', 'ftp://S3CRET@p', 'http://S3CRET@', 'http://S3CRET@p:99999', 'http://S3CRET@p q', 'S3CRET\n'];
  it.each([...bad, 'S3CRET\\@p', '', 'http://'])('refuses %j, naming where it came from and not what it is', (text) => {
    const message = expect.stringMatching(/^--proxy (?!.*S3CRET)[\x20-\x7e]+$/) as string;
    expect(() => parseProxy(text, '--proxy')).toThrow(expect.objectContaining({ code: 'usage', message }) as Error);
  });

  it('keeps nothing that a proxy has no use for', () => {
    expect(parseProxy('http://p:1/path?query#part', '--proxy')).toBe('http://p:1/');
  });
});
