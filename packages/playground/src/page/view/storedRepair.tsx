import type { StoredSweep } from "../../scene.ts";
import type { Controller } from "../controller.ts";
import type { State } from "../state.ts";
import { stopIndex } from "../stored.ts";
import { percent } from "../strength.ts";
import { Curve } from "./curve.tsx";
import { Dial } from "./dial.tsx";

interface StoredProps {
  readonly sweep: StoredSweep;
  readonly state: State;
  readonly controller: Controller;
}

/** The dial of models that were repaired before. */
export function StoredRepair({ sweep, state, controller }: StoredProps) {
  const { name, stops } = sweep;
  const at = stopIndex(sweep, state.stops);
  const { setting, safetyLossShare } = stops[at];
  const id = `stop-${state.scene?.sweeps.indexOf(sweep)}`;
  return (
    <div class="stored">
      <Dial
        id={id}
        label={`Stop of ${name}`}
        most={stops.length - 1}
        step={1}
        value={at}
        shown={setting}
        said={`${setting}, ${at + 1} of ${stops.length}: ${percent(safetyLossShare)} of the safety loss stays`}
        onMove={(stop) => void controller.setStop(name, stop)}
      />
      <Curve points={stops} at={at} setting={setting} axis={`stop of ${stops.length}`} marks={[1, stops.length]} />
      <p class="quiet">Stored models, one for each stop; this computer answers for them.</p>
    </div>
  );
}
