import { type HeatMap, heatMapsOf, heatTable } from "@safedelta/report/web";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { LinearNumbers, SceneModel } from "../../scene.ts";
import { repairedName } from "../../worker/messages.ts";
import type { State } from "../state.ts";
import { stopOf } from "../stored.ts";

/** The repair by layer and linear, as a report shows it: the live one, and those of repaired models that are shown. */
export function Layers({ state }: { readonly state: State }) {
  const { linears, scene } = state;
  const [chosen, setChosen] = useState("safety-loss");
  const all = [...(linears ? [{ name: repairedName, linears }] : []), ...(scene?.models.filter(isShown(state)) ?? [])];
  const [first, ...others] = all.map(({ name, linears }) => ({ name, maps: heatMapsOf({ layers: byLayer(linears) }) }));
  if (!first) return state.repair === "preparing" ? <Panel>{notYet}</Panel> : null;
  return (
    <Panel>
      <label for="measure">Shown of each linear</label>{" "}
      <select id="measure" value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
        {first.maps.map(({ name, caption }) => (
          <option key={name} value={name}>
            {caption}
          </option>
        ))}
      </select>
      {[first, ...others].map(({ name, maps }) => (
        <Table key={name} name={name} map={maps.find((map) => map.name === chosen)} />
      ))}
    </Panel>
  );
}

const notYet = <p class="quiet">The numbers come with the repair.</p>;

function Panel({ children }: { readonly children: ComponentChildren }) {
  return (
    <section class="panel layers" aria-labelledby="layers-title">
      <h2 id="layers-title">By layer</h2>
      {children}
    </section>
  );
}

/** A repaired model that tells its numbers; of those of a stored sweep the one where its dial stands. */
function isShown(state: State) {
  const stops = state.scene?.sweeps.map(({ name }) => stopOf(name, state)?.model);
  return (model: SceneModel): model is SceneModel & { readonly linears: readonly LinearNumbers[] } =>
    model.linears !== undefined && (model.role !== "swept" || (stops?.includes(model.name) ?? false));
}

function byLayer(linears: readonly LinearNumbers[]) {
  const layers = [...new Set(linears.map(({ layer }) => layer))];
  return layers.map((layer) => ({ layer, linears: linears.filter((linear) => linear.layer === layer) }));
}

function Table({ name, map }: { readonly name: string; readonly map: HeatMap | undefined }) {
  if (!map) return null;
  const { text } = heatTable({ ...map, caption: `${name}: ${map.caption}` });
  // The report's own markup, in which every value is escaped.
  return <div dangerouslySetInnerHTML={{ __html: text }} />;
}
