import type { StoredSweep } from "../../scene.ts";
import type { Controller } from "../controller.ts";
import type { State } from "../state.ts";
import { stopIndex } from "../stored.ts";
import { percent } from "../strength.ts";
import { Curve } from "./curve.tsx";
import { Dial } from "./dial.tsx";

/** A dial for each stored sweep. */
export function StoredRepairs({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const sweeps = state.scene?.sweeps ?? [];
  if (sweeps.length === 0) return null;
  return (
    <section class="panel sweeps" aria-labelledby="sweeps-title">
      <h2 id="sweeps-title">Repaired before</h2>
      <p class="quiet">Stored models, one for each stop of a dial. This computer answers for them.</p>
      <div class="dials">
        {sweeps.map((sweep, i) => (
          <StoredRepair key={sweep.name} id={`stop-${i}`} sweep={sweep} state={state} controller={controller} />
        ))}
      </div>
    </section>
  );
}

interface StoredProps {
  readonly id: string;
  readonly sweep: StoredSweep;
  readonly state: State;
  readonly controller: Controller;
}

function StoredRepair({ id, sweep, state, controller }: StoredProps) {
  const { name, stops } = sweep;
  const at = stopIndex(sweep, state.stops);
  const { setting, safetyLossShare } = stops[at];
  return (
    <div class="stored">
      <Dial
        id={id}
        label={name}
        most={stops.length - 1}
        step={1}
        value={at}
        shown={setting}
        said={`${setting}, ${at + 1} of ${stops.length}: ${percent(safetyLossShare)} of the safety loss stays`}
        ends={["least", "most repair"]}
        onMove={(stop) => void controller.setStop(name, stop)}
      />
      <Curve points={stops} at={at} setting={setting} axis="stop" marks={[1, stops.length]} />
    </div>
  );
}
