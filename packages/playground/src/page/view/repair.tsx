import type { Controller } from "../controller.ts";
import { isWorking, type State } from "../state.ts";
import { mostStrength, percent, shareOf, strengthStep } from "../strength.ts";
import { Curve } from "./curve.tsx";
import { Dial } from "./dial.tsx";

/** The dial, and what it costs and keeps. */
export function Repair({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const { scene, repair } = state;
  return (
    <section class="panel repair" aria-labelledby="repair-title">
      <h2 id="repair-title">Repair</h2>
      {repair === "failed" && (
        <p class="failure" role="alert">
          The repair failed: {state.repairFailure}
        </p>
      )}
      {!scene?.repair && (
        <p class="quiet">
          Give --aligned, --tuned and --safe-data to repair a model here, or the folder of a sweep --out to move along
          it.
        </p>
      )}
      {scene?.repair && repair === "none" && state.pageFailure && (
        <p class="quiet">
          The pair cannot be repaired in this page. Repair it by safedelta sweep --out, and show its folder here.
        </p>
      )}
      {(repair === "preparing" || repair === "ready") && <LiveRepair state={state} controller={controller} />}
    </section>
  );
}

/** It has its whole size from the beginning, so that nothing moves when the repair is ready. */
function LiveRepair({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const { strength, sweep } = state;
  return (
    <>
      <Dial
        id="strength"
        label="Strength of the repair"
        most={mostStrength}
        step={strengthStep}
        value={strength}
        shown={String(strength)}
        said={`${strength} of ${mostStrength}: ${percent(shareOf(strength))} of the safety loss may stay`}
        ends={["as fine-tuned", "as aligned"]}
        onMove={(value) => void controller.setStrength(value)}
      />
      <Curve
        points={sweep ?? []}
        at={strength / strengthStep}
        setting={`strength ${strength}`}
        axis="strength"
        marks={[0, mostStrength / 2, mostStrength]}
      />
      <div class="stack">
        <Made state={state} />
        {isWorking(state) && <Work state={state} />}
      </div>
    </>
  );
}

function Made({ state }: { readonly state: State }) {
  const { scene, repairMs = 1 } = state;
  const took = ` in ${Math.max(1, Math.round(repairMs))} ms`;
  return (
    <p class={isWorking(state) ? "quiet unseen" : "quiet"}>
      Repaired in this page{took}, from {scene?.repair?.nExamples} safe examples ({scene?.repair?.nTokens} tokens), mode
      optimal.
    </p>
  );
}

function Work({ state: { work, isOpening, repair } }: { readonly state: State }) {
  const begun = isOpening ? "opening this page's engine" : repair === "ready" ? "repairing" : "preparing the repair";
  return (
    <p class="quiet">
      <label for="work">{`${work?.text ?? begun} …`}</label>
      <progress id="work" {...(work ? { value: work.done, max: work.all } : {})} />
    </p>
  );
}
