import type { TargetedKeyboardEvent } from "preact";
import { askableOf } from "../columns.ts";
import type { Controller } from "../controller.ts";
import type { State } from "../state.ts";

/** The prompt, and prompts to try. Buttons that can do nothing now keep the focus, so that the keyboard is not thrown back to the page. */
export function Ask({ state, controller }: { readonly state: State; readonly controller: Controller }) {
  const { draft, isAsking, scene, goesOn } = state;
  const canAsk = !isAsking && askableOf(state).length > 0;
  const canSend = canAsk && draft.trim() !== "";
  const send = (event: Event) => {
    event.preventDefault();
    if (canSend) void controller.ask();
  };
  const onKey = (event: TargetedKeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  };
  return (
    <section class="panel ask" aria-labelledby="ask-title">
      <h2 id="ask-title">Ask</h2>
      <form onSubmit={send}>
        <label for="ask">Prompt for all models</label>
        <textarea
          id="ask"
          rows={2}
          value={draft}
          aria-describedby="ask-keys"
          onInput={(event) => controller.setDraft(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        <p id="ask-keys" class="quiet">
          Enter asks, Shift+Enter makes a new line.
        </p>
        <div class="row">
          <button type="submit" class="main" aria-disabled={!canSend}>
            Ask
          </button>
          <button type="button" aria-disabled={!isAsking} onClick={() => controller.stop()}>
            Stop
          </button>
          <button type="button" aria-disabled={state.exchanges.length === 0} onClick={() => controller.clear()}>
            Clear
          </button>
          <label class="check">
            <input type="checkbox" checked={goesOn} onChange={(e) => controller.setGoesOn(e.currentTarget.checked)} />
            with the conversation so far
          </label>
        </div>
      </form>
      {scene && scene.prompts.length > 0 && (
        <ul class="tries" aria-label="Prompts to try">
          {scene.prompts.map(({ text, about }) => (
            <li key={text}>
              <button type="button" aria-disabled={!canAsk} onClick={() => canAsk && void controller.ask(text)}>
                <span class="about">{about}</span> {text}
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
