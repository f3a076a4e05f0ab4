/**
 * A URL as it may be shown or kept in plain state: without userinfo and fragment, and with each query value replaced by `***`. A query
 * part without `=` may be a bare token and is replaced whole. Of schemes other than http(s) nothing but the scheme is shown.
 * Never throws: what is no URL becomes a fixed text.
 */
export function redactUrl(url: string): string {
  if (!URL.canParse(url)) return '(not a URL)';
  const parsed = new URL(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return `${parsed.protocol}***`;
  parsed.username = '';
  parsed.password = '';
  parsed.hash = '';
  if (parsed.search !== '') parsed.search = parsed.search.slice(1).split('&').map(redactQueryPart).join('&');
  return parsed.href;
}

function redactQueryPart(part: string): string {
  const end = part.indexOf('=');
  if (part === '') return '';
  return end === -1 ? '***' : `${part.slice(0, end)}=***`;
}

/** Headers that describe a file or a connection, never a person. */
const HARMLESS_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'age',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'if-range',
  'last-modified',
  'range',
  'retry-after',
  'server',
  'user-agent',
  'vary',
]);

/** The value of a header as it may be shown: `***` unless the header is known to carry no secret. */
export function redactHeader(name: string, value: string): string {
  return HARMLESS_HEADERS.has(name.toLowerCase()) ? value : '***';
}
