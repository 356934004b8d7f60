/** Draws the layout of a CloudWatch dashboard from its body: which widgets, where, and what each shows. No data. */

interface Widget {
  readonly type: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: {
    readonly title?: string;
    readonly markdown?: string;
    readonly view?: string;
    readonly metrics?: readonly unknown[][];
    readonly alarms?: readonly string[];
    readonly query?: string;
    readonly annotations?: { readonly horizontal?: readonly { label?: string; color?: string }[] };
  };
}

export interface DashboardBody {
  readonly widgets: readonly Widget[];
}

/** Pixels of a column and of a row. */
const COLUMN = 50;
const ROW = 26;
const GAP = 4;
const HEADER = 40;
const LINE = 17;
/** Of the font that queries are in. */
const CHARACTER = 7.4;

/** CloudWatch's own colours, in its order, for series that ask for none. */
const COLOURS = ['#1f77b4', '#ff7f0e', '#2ca02c', '#d62728', '#9467bd', '#8c564b', '#e377c2', '#7f7f7f'];

type Resources = Record<string, { Type: string; Properties?: Record<string, unknown> }>;

/** The body of the synthesised template, with a word in the place of what only a deployment knows. */
export function dashboardBody({ Resources: resources }: { Resources: Resources }): DashboardBody {
  const dashboard = Object.values(resources).find(({ Type }) => Type === 'AWS::CloudWatch::Dashboard');
  const { 'Fn::Join': join } = dashboard!.Properties!.DashboardBody as { 'Fn::Join': [string, unknown[]] };
  const parts = join[1].map((part) => (typeof part === 'string' ? part : placeholder(part, resources)));
  return JSON.parse(parts.join('')) as DashboardBody;
}

function placeholder(part: unknown, resources: Resources): string {
  const [name, argument] = Object.entries(part as object)[0] as [string, unknown[]];
  if (name === 'Fn::If') {
    // A number that is looked up: the quota, which is the first of the two.
    return String(argument[1]);
  }
  const logicalId = name === 'Fn::GetAtt' ? String(argument[0]) : String(argument);
  return String(resources[logicalId]?.Properties?.AlarmName ?? logicalId);
}

export function drawDashboard({ widgets }: DashboardBody): string {
  const width = 24 * COLUMN;
  const height = HEADER + Math.max(...widgets.map((widget) => widget.y + widget.height)) * ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif" font-size="13">`,
    '<title>Rollcall: the CloudWatch dashboard</title>',
    `<rect width="${width}" height="${height}" fill="#f2f3f3"/>`,
    text(12, 27, 'Rollcall', 'font-size="20" font-weight="bold"'),
    text(110, 27, 'CloudWatch dashboard', 'font-size="14" fill="#545b64"'),
    `<g transform="translate(0,${HEADER})">`,
    ...widgets.map(drawWidget),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

function drawWidget(widget: Widget): string {
  const { type, properties } = widget;
  const left = widget.x * COLUMN;
  const top = widget.y * ROW;
  if (type === 'text') {
    const [heading = '', ...rest] = (properties.markdown ?? '').split('\n');
    return [
      text(left + 12, top + 19, heading.replace(/^#+ /, ''), 'font-size="17" font-weight="bold"'),
      ...rest.map((line, index) =>
        text(
          left + 12,
          top + 40 + LINE * index,
          line.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1'),
          'fill="#0972d3"',
        ),
      ),
    ].join('\n');
  }
  const width = widget.width * COLUMN - 2 * GAP;
  const height = widget.height * ROW - 2 * GAP;
  return [
    `<rect x="${left + GAP}" y="${top + GAP}" width="${width}" height="${height}" rx="6" fill="#ffffff" stroke="#c6c6cd"/>`,
    text(left + 16, top + 26, properties.title ?? '', 'font-weight="bold"'),
    ...content(widget, left + 16, top + 26 + LINE + 6, width),
  ].join('\n');
}

function content({ type, properties }: Widget, left: number, top: number, width: number): string[] {
  if (type === 'alarm') {
    return properties.alarms!.map((alarm, index) => {
      const [x, y] = [left + (index % 3) * (width / 3), top + Math.floor(index / 3) * LINE];
      return `<rect x="${x}" y="${y - 10}" width="10" height="10" fill="#2ca02c"/>\n${text(x + 16, y, alarm.replace(/^Rollcall-/, ''))}`;
    });
  }
  if (type === 'log') {
    const lines = (properties.query ?? '').replace(/(SOURCE '[^']+' \| )+/, '').split('\n');
    const columns = Math.floor((width - 2 * GAP) / CHARACTER);
    return lines.map((line, index) => {
      const whole = line.trim();
      const cut = whole.length > columns ? `${whole.slice(0, columns - 1)}…` : whole;
      return text(left, top + LINE * index, cut, 'font-family="monospace" font-size="12" fill="#545b64"');
    });
  }
  const series = shown(properties.metrics ?? []);
  const annotations = properties.annotations?.horizontal ?? [];
  return [
    ...series.map(({ label, color }, index) => legend(left, top + LINE * index, label, color)),
    ...annotations.map(({ label = '', color = '#7f7f7f' }, index) =>
      legend(left, top + LINE * (series.length + index), label, color, 'stroke-dasharray="4 3"'),
    ),
  ];
}

/** The rows that are drawn: the operands of an expression are not. */
function shown(metrics: readonly unknown[][]): { label: string; color: string }[] {
  const drawn = metrics.flatMap((row) => {
    const last = row.at(-1);
    const options = (typeof last === 'object' ? last : {}) as Record<string, unknown>;
    if (options.visible === false) {
      return [];
    }
    const search = /MetricName="(\w+)"/.exec(String(options.expression ?? ''))?.[1];
    const dimension = /\{\w+,\w+,(\w+)\}/.exec(String(options.expression ?? ''))?.[1];
    const label = search ? `${search}, one line for each ${dimension}` : (options.label ?? row[1]);
    return [{ label: String(label), color: options.color as string | undefined }];
  });
  return drawn.map(({ label, color }, index) => ({
    label,
    color: color ?? COLOURS[index % COLOURS.length]!,
  }));
}

function legend(x: number, y: number, label: string, color: string, style = ''): string {
  return `<line x1="${x}" y1="${y - 4}" x2="${x + 16}" y2="${y - 4}" stroke="${color}" stroke-width="3" ${style}/>\n${text(x + 24, y, label)}`;
}

function text(x: number, y: number, content: string, style = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${x}" y="${y}" ${style}>${escaped}</text>`;
}
