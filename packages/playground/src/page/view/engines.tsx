import type { Controller } from "../controller.ts";
import type { State, Where } from "../state.ts";

/** What answers, and why. */
export function Engines({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const { scene, where, pageEngine, pageFailure, inPage } = state;
  const hasGpu = "gpu" in navigator;
  const isPage = inPage.length > 0 || pageFailure === undefined;
  const choices: readonly { readonly value: Where; readonly text: string; readonly isThere: boolean }[] = [
    {
      value: "page",
      text: `this page: ${pageEngine ?? (isPage ? "opening …" : "nothing is open here")}`,
      isThere: isPage,
    },
    { value: "server", text: `this computer: ${scene?.hostEngine}`, isThere: true },
  ];
  return (
    <section class="panel engines" aria-labelledby="engines-title">
      <h2 id="engines-title">What answers</h2>
      <fieldset>
        <legend>Models in their ordinary form run in</legend>
        {choices.map(({ value, text, isThere }) => (
          <label key={value} class="check">
            <input
              type="radio"
              name="where"
              value={value}
              checked={where === value}
              disabled={!isThere}
              onChange={() => controller.setWhere(value)}
            />
            {text}
          </label>
        ))}
      </fieldset>
      {pageFailure !== undefined && <p>{pageFailure}</p>}
      <p class="quiet">
        The live repair always runs in this page. Models exported for web-llm run on the graphics card by WebGPU, which
        this browser {hasGpu ? "has" : "does not have"}.
      </p>
    </section>
  );
}
