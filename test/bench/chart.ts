export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** A logarithmic x axis. */
  readonly logX?: boolean;
}

const [WIDTH, HEIGHT] = [820, 420];
const [LEFT, RIGHT, TOP, BOTTOM] = [70, 210, 40, 50];
/** Told apart by those who do not see all colours, too (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];

/** The chart as an SVG text; y begins at 0. */
export function svg({ title, x, y, series, logX = false }: Chart): string {
  const points = series.flatMap((one) => one.points);
  const across = (value: number): number => (logX ? Math.log10(Math.max(value, 1)) : value);
  const xs = points.map(([value]) => across(value));
  const [fromX, toX] = [logX ? Math.min(...xs) : 0, Math.max(...xs)];
  const toY = Math.max(...points.map(([, value]) => value));
  const atX = (value: number): number => LEFT + ((across(value) - fromX) / (toX - fromX || 1)) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number): number => HEIGHT - BOTTOM - (value / (toY || 1)) * (HEIGHT - TOP - BOTTOM);
  const text = (px: number, py: number, words: string, anchor = 'middle'): string =>
    `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" text-anchor="${anchor}">${escaped(words)}</text>`;
  const ticksX = logX ? [...new Set(points.map(([value]) => value))] : ticks(toX);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, title, 'start'),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x),
    `<g transform="translate(16 ${HEIGHT / 2}) rotate(-90)">${text(0, 0, y)}</g>`,
  ];
  for (const value of ticks(toY)) {
    lines.push(`<path d="M${LEFT} ${atY(value).toFixed(1)}H${WIDTH - RIGHT}" stroke="#ddd"/>`, text(LEFT - 6, atY(value) + 4, label(value), 'end'));
  }
  for (const value of ticksX) lines.push(text(atX(value), HEIGHT - BOTTOM + 18, label(value)));
  for (const [n, one] of series.entries()) {
    const colour = COLOURS[n % COLOURS.length] ?? '#000';
    const path = one.points.map(([px, py]) => `${atX(px).toFixed(1)},${atY(py).toFixed(1)}`).join(' ');
    lines.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.8"/>`);
    lines.push(`<path d="M${WIDTH - RIGHT + 14} ${TOP + 10 + 20 * n}h18" stroke="${colour}" stroke-width="3"/>`);
    lines.push(text(WIDTH - RIGHT + 38, TOP + 14 + 20 * n, one.name, 'start'));
  }
  return `${lines.join('\n')}\n</svg>\n`;
}

/** Round values from 0 to `most`, about five. */
function ticks(most: number): number[] {
  if (!(most > 0)) return [0];
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step);
}

function label(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
