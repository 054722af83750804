import { useEffect, useState } from "preact/hooks";
import type { Controller } from "../controller.ts";
import { Answers } from "./answers.tsx";
import { Ask } from "./ask.tsx";
import { Engines } from "./engines.tsx";
import { Layers } from "./layers.tsx";
import { Repair } from "./repair.tsx";
import { StoredRepairs } from "./storedRepair.tsx";
import { Watched } from "./watched.tsx";

/** The whole page. */
export function App({ controller }: { readonly controller: Controller }) {
  const [state, setState] = useState(controller.store.now);
  useEffect(() => controller.store.subscribe(() => setState(controller.store.now)), [controller]);
  const { scene, failure, spoken } = state;
  return (
    <>
      <a class="skip" href="#ask">
        Skip to the prompt
      </a>
      <header>
        <h1>Safe Delta playground</h1>
        <p class="lead">
          The same prompt to the model before and after fine-tuning, and repaired as you move the dial.
        </p>
      </header>
      <main>
        {failure !== undefined && (
          <p class="failure" role="alert">
            The page could not be opened: {failure}
          </p>
        )}
        {scene === undefined && failure === undefined && <p class="quiet">Loading …</p>}
        {scene && (
          <>
            <Ask state={state} controller={controller} />
            <Repair state={state} controller={controller} />
            <StoredRepairs state={state} controller={controller} />
            <Answers state={state} />
            <Layers state={state} />
            <Engines state={state} controller={controller} />
            {scene.watches && <Watched watched={state.watched} />}
          </>
        )}
      </main>
      <p class="hidden" role="status">
        {spoken}
      </p>
    </>
  );
}
