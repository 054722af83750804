import type { SweepPoint } from "../../worker/messages.ts";
import type { State } from "../state.ts";
import { mostStrength, percent, strengthStep } from "../strength.ts";

const box = { width: 420, height: 200, left: 44, right: 12, top: 12, bottom: 40 } as const;

const xOf = (strength: number) => box.left + (strength / mostStrength) * (box.width - box.left - box.right);
const yOf = (share: number) => box.top + (1 - share) * (box.height - box.top - box.bottom);

const series = [
  { name: "safety loss that stays", kind: "loss", value: (point: SweepPoint) => point.safetyLossShare },
  { name: "change that is kept", kind: "kept", value: (point: SweepPoint) => point.changeKept },
] as const;

/** Both sides of the trade along the dial, and where it stands. */
export function Curve({ state: { sweep, strength } }: { readonly state: State }) {
  const here = sweep?.[strength / strengthStep];
  if (!sweep || !here) return null;
  const said = series.map(({ name, value }) => `${name}: ${percent(value(here))}`);
  return (
    <figure>
      <svg
        viewBox={`0 0 ${box.width} ${box.height}`}
        role="img"
        aria-label={`At strength ${strength}, ${said.join(", ")}`}
      >
        {[0, 0.5, 1].map((share) => (
          <g key={share} class="grid">
            <line x1={box.left} x2={box.width - box.right} y1={yOf(share)} y2={yOf(share)} />
            <text x={box.left - 6} y={yOf(share) + 4} text-anchor="end">
              {percent(share)}
            </text>
          </g>
        ))}
        {[0, 50, 100].map((at) => (
          <text
            key={at}
            class="axis"
            x={xOf(at)}
            y={box.height - 24}
            text-anchor={at === 0 ? "start" : at === 100 ? "end" : "middle"}
          >
            {at}
          </text>
        ))}
        <line class="here" x1={xOf(strength)} x2={xOf(strength)} y1={box.top} y2={box.height - box.bottom} />
        {series.map(({ kind, value }) => (
          <g key={kind} class={kind}>
            <polyline points={sweep.map((point, i) => `${xOf(i * strengthStep)},${yOf(value(point))}`).join(" ")} />
            <circle cx={xOf(strength)} cy={yOf(value(here))} r={5} />
          </g>
        ))}
        <text class="axis" x={box.width / 2} y={box.height - 6} text-anchor="middle">
          strength
        </text>
      </svg>
      <figcaption>
        {series.map(({ name, kind, value }) => (
          <span key={kind} class={`key ${kind}`}>
            {name} <b>{percent(value(here))}</b>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
