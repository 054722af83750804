import { repairedName } from "../../worker/messages.ts";
import { columnsOf, isInPage, settingOf } from "../columns.ts";
import type { Answer, Exchange, State } from "../state.ts";

const roleWords = { aligned: "before fine-tuning", tuned: "fine-tuned", swept: "", other: "" } as const;

/** The answers side by side; earlier prompts below. */
export function Answers({ state }: { readonly state: State }) {
  const [last, ...earlier] = state.exchanges;
  return (
    <section class="answers" aria-labelledby="answers-title">
      <h2 id="answers-title">Answers</h2>
      {last ? (
        <Compared exchange={last} state={state} />
      ) : (
        <p class="quiet">Ask something, or choose a prompt to try. Every model gets the same words.</p>
      )}
      {earlier.length > 0 && (
        <details>
          <summary>Earlier prompts ({earlier.length})</summary>
          {earlier.map((exchange) => (
            <Compared key={exchange.id} exchange={exchange} state={state} />
          ))}
        </details>
      )}
    </section>
  );
}

interface ComparedProps {
  readonly exchange: Exchange;
  readonly state: State;
}

function Compared({ exchange, state }: ComparedProps) {
  const shown = [...new Set([...columnsOf(state), ...Object.keys(exchange.answers)])];
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
  const shown = state.scene?.models.find(({ name }) => name === model);
  const setting = settingOf(model, state) ?? shown?.setting;
  const role = shown?.role ?? "other";
  const words = shown?.kind === "mlc" ? "on the graphics card" : roleWords[role];
  const note = noteOf(id, model, answer, state);
  return (
    <article class={`card ${setting === undefined ? role : "repaired"}`} aria-labelledby={titleId} aria-busy={isBusy}>
      <h3 id={titleId}>
        {model} <span class="role">{answer?.setting ?? setting ?? words}</span>
      </h3>
      <p class={answer?.state === "failed" ? "answer failure" : "answer"}>{wordsOf(answer, note)}</p>
    </article>
  );
}

/** What a model waits for before it answers. */
function noteOf(id: string, model: string, answer: Answer | undefined, state: State): string | undefined {
  const isLast = state.exchanges[0]?.id === id;
  if (answer === undefined && isLast && model === repairedName && state.repair === "preparing")
    return "asked when the repair is prepared";
  if (answer?.state !== "waiting") return undefined;
  return state.isOpening && isInPage(model, state) ? "the page is loading its models" : state.loading[model];
}

function wordsOf(answer: Answer | undefined, note: string | undefined): string {
  if (answer === undefined) return note ?? "not asked";
  if (answer.state === "waiting") return note === undefined ? "…" : `… ${note}`;
  if (answer.state === "stopped") return `${answer.text} (stopped)`;
  return answer.state === "done" && answer.text === "" ? "(no words)" : answer.text;
}
