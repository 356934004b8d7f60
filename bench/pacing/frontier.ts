/** How much of what is left is used, against how many calls are throttled for it: every setting of every strategy is a point. */
import type { ContestReport, Point } from './contest.ts';
import { ALONE_LEAST, contestCases } from './contest.ts';

const PANEL = { width: 560, height: 380, left: 52, top: 40, right: 16, bottom: 44 };
const COLORS = ['#2f7d4f', '#c8342b', '#1f4e9c', '#c77700', '#7a3e9d', '#0e8c8c', '#8a6d3b', '#444444'];
const LEAST_USED = 0.5;
const MOST_USED = 1.05;
const TICKS = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4];

export function frontier(reports: readonly ContestReport[]): string {
  const names = [...new Set(reports.flatMap(({ points }) => points.map(({ strategy }) => strategy)))];
  const color = (strategy: string) => COLORS[names.indexOf(strategy) % COLORS.length]!;
  const width = reports.length * PANEL.width;
  const height = PANEL.height + 24 * Math.ceil(names.length / 3) + 44;
  const legend = names.map(
    (name, i) =>
      `<g transform="translate(${PANEL.left + (i % 3) * 350},${PANEL.height + 36 + 24 * Math.floor(i / 3)})"><circle r="5" cy="-4" fill="${color(name)}"/><text x="12">${escaped(name)}</text></g>`,
  );
  const panels = reports.map(
    (report, i) => `<g transform="translate(${i * PANEL.width},0)">${panel(report, color)}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">
<title>Share of the quota used, against the share of calls that were throttled</title>
<rect width="100%" height="100%" fill="#fff"/>
${panels.join('\n')}
${legend.join('\n')}
<text x="${PANEL.left}" y="${height - 10}" fill="#555">Up and left is better. A ring is a setting that leaves more than ${Math.round(100 * (1 - ALONE_LEAST))} % of a whole quota unused where nobody takes anything from it.</text>
</svg>
`;
}

function panel({ case: name, points }: ContestReport, color: (strategy: string) => string): string {
  const longest = Math.max(...points.map(({ photos }) => photos));
  const shown = points.filter(({ photos }) => photos === longest);
  const inner = {
    width: PANEL.width - PANEL.left - PANEL.right,
    height: PANEL.height - PANEL.top - PANEL.bottom,
  };
  // By the root: what is a lot among few throttled calls is nothing among many.
  const x = (throttled: number) =>
    PANEL.left + (Math.sqrt(throttled) / Math.sqrt(TICKS.at(-1)!)) * inner.width;
  const y = (used: number) =>
    PANEL.top +
    inner.height *
      (1 - (Math.max(LEAST_USED, Math.min(MOST_USED, used)) - LEAST_USED) / (MOST_USED - LEAST_USED));
  const dot = (point: Point) => {
    const at = `cx="${x(Math.min(point.throttled.median, TICKS.at(-1)!)).toFixed(1)}" cy="${y(point.steady.median).toFixed(1)}"`;
    const title = `${point.strategy}, ${point.setting}: ${percent(point.steady.median)} used, ${percent(point.throttled.median)} throttled`;
    const isGeneral = point.isOurs || point.alone >= ALONE_LEAST;
    const paint = isGeneral
      ? `fill="${color(point.strategy)}"`
      : `fill="none" stroke="${color(point.strategy)}" stroke-width="1.5"`;
    return `<circle ${at} r="${point.isOurs ? 7 : 5}" ${paint}><title>${escaped(title)}</title></circle>`;
  };
  return `<text x="${PANEL.left}" y="24" font-size="15" font-weight="bold">${escaped(contestCases[name]?.name ?? name)}, ${longest.toLocaleString('en-US')} photos</text>
<path d="M${PANEL.left} ${PANEL.top}V${PANEL.top + inner.height}H${PANEL.left + inner.width}" fill="none" stroke="#222"/>
<line x1="${PANEL.left}" x2="${PANEL.left + inner.width}" y1="${y(1)}" y2="${y(1)}" stroke="#1f4e9c" stroke-dasharray="5 3"/>
${TICKS.map((tick) => `<text x="${x(tick).toFixed(1)}" y="${PANEL.top + inner.height + 16}" text-anchor="middle">${Math.round(100 * tick)} %</text>`).join('')}
${[0.5, 0.6, 0.7, 0.8, 0.9, 1].map((tick) => `<text x="${PANEL.left - 6}" y="${y(tick) + 4}" text-anchor="end">${tick.toFixed(1)}</text>`).join('')}
<text x="${PANEL.left + inner.width / 2}" y="${PANEL.top + inner.height + 34}" text-anchor="middle" fill="#555">calls throttled</text>
<text transform="translate(14,${PANEL.top + inner.height / 2}) rotate(-90)" text-anchor="middle" fill="#555">steady share of what is left</text>
${shown.map(dot).join('')}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
