/** Calls per second over time, one panel for each strategy: an SVG written here, and its PNG. */
import { writeFileSync } from 'node:fs';
import sharp from 'sharp';
import type { Measurement } from './measure.ts';
import { OURS } from './options.ts';

const COLUMNS = 2;
const PANEL = { width: 560, height: 200, left: 44, top: 46, right: 14, bottom: 34 };
const COLORS = {
  accepted: '#2f7d4f',
  throttled: '#c8342b',
  failed: '#8a8a8a',
  quota: '#1f4e9c',
  left: '#c77700',
};

export interface PlotOptions {
  title: string;
  /** The quota line: what Rekognition allows, calls per second. */
  quota: number;
  /** What a neighbour leaves of it on average; drawn when it is less. */
  left: number;
}

/** Writes `file`.svg and `file`.png. */
export async function writePlot(
  file: string,
  measurements: readonly Measurement[],
  options: PlotOptions,
): Promise<void> {
  const svg = plot(measurements, options);
  writeFileSync(`${file}.svg`, svg);
  await sharp(Buffer.from(svg), { density: 144 }).png({ palette: true }).toFile(`${file}.png`);
}

export function plot(measurements: readonly Measurement[], { title, quota, left }: PlotOptions): string {
  const columns = Math.min(COLUMNS, measurements.length);
  const rows = Math.ceil(measurements.length / columns);
  const width = columns * PANEL.width;
  const height = 60 + rows * PANEL.height;
  const seconds = Math.max(10, ...measurements.map(({ timeline }) => longest(timeline)));
  const peak = Math.max(...measurements.map(({ timeline }) => highest(timeline)));
  // One scale for all; what a burst throttles beyond four quotas is cut off and said so.
  const top = Math.min(4 * quota, Math.max(1.25 * quota, peak));
  const panels = measurements.map((measurement, i) => {
    const x = (i % columns) * PANEL.width;
    const y = 56 + Math.floor(i / columns) * PANEL.height;
    return `<g transform="translate(${x},${y})">${panel(measurement, { quota, left, seconds, top })}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">
<title>${escaped(title)}: calls per second over time</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${PANEL.left}" y="24" font-size="16" font-weight="bold">${escaped(title)}</text>
<g transform="translate(${PANEL.left},44)">${legend(left < 0.99 * quota)}</g>
${panels.join('\n')}
</svg>
`;
}

function panel(
  measurement: Measurement,
  { quota, left, seconds, top }: { quota: number; left: number; seconds: number; top: number },
): string {
  const { timeline } = measurement;
  const inner = {
    width: PANEL.width - PANEL.left - PANEL.right,
    height: PANEL.height - PANEL.top - PANEL.bottom,
  };
  const x = (second: number) => PANEL.left + (second / seconds) * inner.width;
  const y = (calls: number) => PANEL.top + inner.height * (1 - Math.min(calls, top) / top);
  const bars: string[] = [];
  for (let second = 0; second < longest(timeline); second++) {
    let below = 0;
    for (const kind of ['accepted', 'throttled', 'failed'] as const) {
      const count = timeline[kind][second] ?? 0;
      if (count > 0 && below < top) {
        const [from, to] = [y(below + count), y(below)];
        bars.push(
          `<rect x="${x(second).toFixed(1)}" y="${from.toFixed(1)}" width="${(inner.width / seconds).toFixed(2)}" height="${(to - from).toFixed(1)}" fill="${COLORS[kind]}"/>`,
        );
      }
      below += count;
    }
  }
  const line = (perSecond: number, color: string, dash: string) =>
    `<line x1="${PANEL.left}" x2="${PANEL.left + inner.width}" y1="${y(perSecond)}" y2="${y(perSecond)}" stroke="${color}" stroke-width="1.5"${dash}/>`;
  const cut = highest(timeline) > top ? `, peak ${highest(timeline)}/s cut off` : '';
  const facts = `${percent(measurement.quota_used)} of the quota used, ${percent(measurement.throttled_ratio)} of ${measurement.calls} calls throttled${cut}`;
  return `<text x="${PANEL.left}" y="22" font-weight="bold">${escaped(measurement.strategy === OURS ? 'Rollcall' : measurement.strategy)}</text>
<text x="${PANEL.left}" y="38" fill="#555">${escaped(facts)}</text>
${bars.join('')}
${line(quota, COLORS.quota, '')}
${left < 0.99 * quota ? line(left, COLORS.left, ' stroke-dasharray="5 3"') : ''}
<path d="M${PANEL.left} ${PANEL.top}V${PANEL.top + inner.height}H${PANEL.left + inner.width}" fill="none" stroke="#222"/>
${[0, quota, top].map((tick) => `<text x="${PANEL.left - 6}" y="${y(tick) + 4}" text-anchor="end">${Math.round(tick)}</text>`).join('')}
${[0, 0.25, 0.5, 0.75, 1].map((share) => `<text x="${x(share * seconds)}" y="${PANEL.top + inner.height + 16}" text-anchor="${share === 1 ? 'end' : 'middle'}">${Math.round(share * seconds)}${share === 1 ? ' s' : ''}</text>`).join('')}`;
}

function legend(neighbour: boolean): string {
  const entries: [string, string][] = [
    [COLORS.accepted, 'accepted'],
    [COLORS.throttled, 'throttled'],
    [COLORS.failed, 'failed'],
    [COLORS.quota, 'quota'],
    ...(neighbour ? [[COLORS.left, 'left by the neighbour'] as [string, string]] : []),
  ];
  return `${entries
    .map(
      ([color, label], i) =>
        `<rect x="${i * 90}" y="-9" width="10" height="10" fill="${color}"/><text x="${i * 90 + 15}" y="0">${label}</text>`,
    )
    .join(
      '',
    )}<text x="${entries.length * 90 + 70}" y="0" fill="#555">IndexFaces calls per second over time</text>`;
}

function longest({ accepted, throttled, failed }: Measurement['timeline']): number {
  return Math.max(accepted.length, throttled.length, failed.length);
}

function highest(timeline: Measurement['timeline']): number {
  return Math.max(
    0,
    ...Array.from(
      { length: longest(timeline) },
      (_, second) =>
        (timeline.accepted[second] ?? 0) + (timeline.throttled[second] ?? 0) + (timeline.failed[second] ?? 0),
    ),
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.01 && share > 0 ? 2 : 1)} %`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
