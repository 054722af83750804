import type { Controller } from "../controller.ts";
import type { State } from "../state.ts";
import { mostStrength, percent, shareOf, strengthStep } from "../strength.ts";
import { Curve } from "./curve.tsx";

/** The dial, and what it costs and keeps. */
export function Repair({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const { scene, repair, work, strength } = state;
  return (
    <section class="panel repair" aria-labelledby="repair-title">
      <h2 id="repair-title">Repair</h2>
      {work && <Work {...work} />}
      {repair === "failed" && (
        <p class="failure" role="alert">
          The repair failed: {state.repairFailure}
        </p>
      )}
      {!scene?.repair && <p class="quiet">Give --aligned, --tuned and --safe-data to repair a model here.</p>}
      {scene?.repair && state.pageFailure && (
        <p class="quiet">{state.pageFailure} Repair it with: safedelta apply, and show the result here.</p>
      )}
      {repair === "ready" && (
        <>
          <label for="strength">Strength of the repair</label>
          <input
            id="strength"
            type="range"
            min={0}
            max={mostStrength}
            step={strengthStep}
            value={strength}
            aria-valuetext={`${strength} of ${mostStrength}: ${percent(shareOf(strength))} of the safety loss may stay`}
            onInput={(event) => void controller.setStrength(Number(event.currentTarget.value))}
          />
          <div class="ends" aria-hidden="true">
            <span>as fine-tuned</span>
            <output>{strength}</output>
            <span>as aligned</span>
          </div>
          <Curve state={state} />
          <p class="quiet">
            Repaired in this page
            {state.repairMs === undefined ? "" : ` in ${Math.max(1, Math.round(state.repairMs))} ms`}, from{" "}
            {scene?.repair?.nExamples} safe examples ({scene?.repair?.nTokens} tokens), mode optimal.
          </p>
        </>
      )}
    </section>
  );
}

function Work({ text, done, all }: NonNullable<State["work"]>) {
  return (
    <p class="work">
      <label for="work">{text} …</label>
      <progress id="work" value={done} max={all} />
    </p>
  );
}
