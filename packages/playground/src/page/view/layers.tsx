import { useState } from "preact/hooks";
import type { LinearNumbers } from "../../scene.ts";
import type { State } from "../state.ts";
import { percent } from "../strength.ts";

/** What a cell can show, as a share. */
const measures = {
  "safety loss that stays": (n: LinearNumbers) => n.safetyLossShare,
  "change that is kept": (n: LinearNumbers) => (n.tunedDeltaNorm === 0 ? 1 : 1 - n.utilityGap / n.tunedDeltaNorm ** 2),
  "size of the change": (n: LinearNumbers) => (n.tunedDeltaNorm === 0 ? 1 : n.deltaNorm / n.tunedDeltaNorm),
} as const;

type Measure = keyof typeof measures;

/** The name of a linear within its layer. */
function partOf({ name }: LinearNumbers): string {
  return (
    name
      .replace(/\.weight$/, "")
      .split(".")
      .at(-1) ?? name
  );
}

/** The repair by layer and linear: the live one, and those of repaired models that are shown. */
export function Layers({ state: { linears, scene } }: { readonly state: State }) {
  const [measure, setMeasure] = useState<Measure>("change that is kept");
  const stored = scene?.models.flatMap(({ name, linears }) => (linears ? [{ name, linears }] : [])) ?? [];
  const all = [...(linears ? [{ name: "repaired (live)", linears }] : []), ...stored];
  if (all.length === 0) return null;
  return (
    <section class="panel layers" aria-labelledby="layers-title">
      <h2 id="layers-title">By layer</h2>
      <label for="measure">Shown of each linear</label>{" "}
      <select id="measure" value={measure} onChange={(event) => setMeasure(event.currentTarget.value as Measure)}>
        {Object.keys(measures).map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      {all.map(({ name, linears }) => (
        <LayerTable key={name} name={name} linears={linears} measure={measure} />
      ))}
    </section>
  );
}

interface TableProps {
  readonly name: string;
  readonly linears: readonly LinearNumbers[];
  readonly measure: Measure;
}

function LayerTable({ name, linears, measure }: TableProps) {
  const parts = [...new Set(linears.map(partOf))];
  const layers = [...new Set(linears.map(({ layer }) => layer))];
  const cell = (layer: number, part: string) => linears.find((n) => n.layer === layer && partOf(n) === part);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="scrolls" aria-label={`${name} by layer`} tabIndex={0}>
      <table>
        <caption>
          {name}: {measure}
        </caption>
        <thead>
          <tr>
            <th scope="col">layer</th>
            {parts.map((part) => (
              <th key={part} scope="col">
                {part.replace(/_proj$/, "")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {layers.map((layer) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              {parts.map((part) => (
                <Cell key={part} share={shareIn(cell(layer, part), measure)} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function shareIn(numbers: LinearNumbers | undefined, measure: Measure): number | undefined {
  return numbers && Math.min(1, Math.max(0, measures[measure](numbers)));
}

function Cell({ share }: { readonly share: number | undefined }) {
  if (share === undefined) return <td />;
  return <td style={{ "--share": String(share) }}>{percent(share)}</td>;
}
