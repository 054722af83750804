import { repairedName } from "../../worker/messages.ts";
import type { Answer, Exchange, State } from "../state.ts";
import { stopOf } from "../stored.ts";

const roleWords = { aligned: "before fine-tuning", tuned: "fine-tuned", swept: "", other: "" } as const;

/** The answers side by side; earlier prompts below. */
export function Answers({ state, columns }: { readonly state: State; readonly columns: readonly string[] }) {
  const [last, ...earlier] = state.exchanges;
  return (
    <section class="answers" aria-labelledby="answers-title">
      <h2 id="answers-title">Answers</h2>
      {last ? (
        <Compared exchange={last} columns={columns} state={state} />
      ) : (
        <p class="quiet">Ask something, or choose a prompt to try. Every model gets the same words.</p>
      )}
      {earlier.length > 0 && (
        <details>
          <summary>Earlier prompts ({earlier.length})</summary>
          {earlier.map((exchange) => (
            <Compared key={exchange.id} exchange={exchange} columns={columns} state={state} />
          ))}
        </details>
      )}
    </section>
  );
}

interface ComparedProps {
  readonly exchange: Exchange;
  readonly columns: readonly string[];
  readonly state: State;
}

function Compared({ exchange, columns, state }: ComparedProps) {
  const shown = [...new Set([...columns, ...Object.keys(exchange.answers)])];
  return (
    <div class="exchange">
      <p class="prompt">
        <span class="hidden">Prompt: </span>
        {exchange.prompt}
      </p>
      <div class="cards">
        {shown.map((model) => (
          <Card key={model} id={exchange.id} model={model} answer={exchange.answers[model]} state={state} />
        ))}
      </div>
    </div>
  );
}

interface CardProps {
  readonly id: string;
  readonly model: string;
  readonly answer: Answer | undefined;
  readonly state: State;
}

function Card({ id, model, answer, state }: CardProps) {
  const titleId = `${id}-${model.replace(/\W/g, "-")}`;
  const isBusy = answer?.state === "waiting" || answer?.state === "writing";
  const setting = model === repairedName ? `strength ${state.strength}` : stopOf(model, state)?.setting;
  const shown = state.scene?.models.find(({ name }) => name === model);
  const role = shown?.role ?? "other";
  const words = shown?.kind === "mlc" ? "on the graphics card" : roleWords[role];
  return (
    <article class={`card ${setting === undefined ? role : "repaired"}`} aria-labelledby={titleId} aria-busy={isBusy}>
      <h3 id={titleId}>
        {model} <span class="role">{answer?.setting ?? setting ?? words}</span>
      </h3>
      <p class={answer?.state === "failed" ? "answer failure" : "answer"}>{wordsOf(answer)}</p>
      {answer?.state === "waiting" && state.loading[model] && <p class="quiet">{state.loading[model]}</p>}
    </article>
  );
}

function wordsOf(answer: Answer | undefined): string {
  if (answer === undefined) return "not asked";
  if (answer.state === "waiting") return "…";
  if (answer.state === "stopped") return `${answer.text} (stopped)`;
  return answer.state === "done" && answer.text === "" ? "(no words)" : answer.text;
}
