import { percent } from "../strength.ts";

const box = { width: 420, height: 200, left: 66, right: 12, top: 12, bottom: 44 } as const;

/** Lowest share that is drawn: a repair may lead farther away than the whole fine-tuning did. */
const leastShown = -1;

/** Shares with a line of their own, from the lowest of the points on. */
function gridOf(values: readonly number[]): number[] {
  const low = Math.max(leastShown, Math.min(0, Math.floor(2 * Math.min(...values)) / 2));
  return [-1, -0.5, 0, 0.5, 1].filter((share) => share >= low);
}

/** What a stop of a dial gives, as shares of what the fine-tuning did. */
export interface CurvePoint {
  readonly safetyLossShare: number;
  readonly changeKept: number;
}

const series = [
  { name: "safety loss that stays", kind: "loss", value: (point: CurvePoint) => point.safetyLossShare },
  { name: "change that is kept", kind: "kept", value: (point: CurvePoint) => point.changeKept },
] as const;

interface CurveProps {
  /** Of every stop of the dial; none before they are known, so that the frame has its place. */
  readonly points: readonly CurvePoint[];
  /** Where the dial stands. */
  readonly at: number;
  /** What that is called. */
  readonly setting: string;
  readonly axis: string;
  /** Numbers below the axis, at even distances from its begin to its end. */
  readonly marks: readonly number[];
}

/** Both sides of the trade along a dial, and where it stands. */
export function Curve({ points, at, setting, axis, marks }: CurveProps) {
  const here = points[at];
  const xOf = (share: number) => box.left + share * (box.width - box.left - box.right);
  const values = series.flatMap(({ value }) => points.map(value));
  const grid = gridOf(values);
  const isCut = Math.min(...values) < leastShown;
  const yOf = (share: number) =>
    box.top + ((1 - Math.max(grid[0], share)) / (1 - grid[0])) * (box.height - box.top - box.bottom);
  const place = (stop: number) => xOf(points.length > 1 ? stop / (points.length - 1) : 0);
  const shown = (value: (point: CurvePoint) => number) => (here ? percent(value(here)) : "–");
  const said = here ? series.map(({ name, value }) => `${name}: ${shown(value)}`) : ["not known yet"];
  return (
    <figure>
      <svg viewBox={`0 0 ${box.width} ${box.height}`} role="img" aria-label={`At ${setting}, ${said.join(", ")}`}>
        {grid.map((share) => (
          <g key={share} class="grid">
            <line x1={box.left} x2={box.width - box.right} y1={yOf(share)} y2={yOf(share)} />
            <text x={box.left - 6} y={yOf(share) + 4} text-anchor="end">
              {share === leastShown && isCut ? `≤ ${percent(share)}` : percent(share)}
            </text>
          </g>
        ))}
        {marks.map((mark, i) => (
          <text
            key={mark}
            class="axis"
            x={xOf(i / (marks.length - 1))}
            y={box.height - 26}
            text-anchor={i === 0 ? "start" : i === marks.length - 1 ? "end" : "middle"}
          >
            {mark}
          </text>
        ))}
        {here && <line class="here" x1={place(at)} x2={place(at)} y1={box.top} y2={box.height - box.bottom} />}
        {series.map(({ kind, value }) => (
          <g key={kind} class={kind}>
            <polyline points={points.map((point, i) => `${place(i)},${yOf(value(point))}`).join(" ")} />
            {here && <circle cx={place(at)} cy={yOf(value(here))} r={5} />}
          </g>
        ))}
        <text class="axis" x={xOf(0.5)} y={box.height - 6} text-anchor="middle">
          {axis}
        </text>
      </svg>
      <figcaption>
        {series.map(({ name, kind, value }) => (
          <span key={kind} class={`key ${kind}`}>
            {name} <b>{shown(value)}</b>
          </span>
        ))}
      </figcaption>
      {grid[0] < 0 && <p class="quiet">Below 0: farther from the fine-tuned model than the aligned model is.</p>}
    </figure>
  );
}
