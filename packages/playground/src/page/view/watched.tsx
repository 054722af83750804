import type { Progress } from "../../scene.ts";

/** How far the watched work is. */
export function Watched({ watched }: { readonly watched: readonly Progress[] }) {
  return (
    <section class="panel watched" aria-labelledby="watched-title">
      <h2 id="watched-title">Work under way</h2>
      {watched.map((progress) => (
        <Work key={progress.folder} {...progress} />
      ))}
    </section>
  );
}

function Work(progress: Progress) {
  const { folder, what, nDone, nAll, state } = progress;
  return (
    <p class="work">
      <span class="folder">{folder}</span> {wordsOf(progress)}
      {state === "running" && (
        <progress aria-label={`${what} of ${folder}`} max={nAll} {...(nAll === undefined ? {} : { value: nDone })} />
      )}
    </p>
  );
}

/** What the pieces of a kind of work are called. */
const pieces: Readonly<Record<string, string>> = {
  state: "layers",
  repair: "tensors",
  "fine-tuning": "updates kept",
  experiment: "steps",
};

function wordsOf({ what, nDone, nAll, state }: Progress): string {
  if (state === "waiting") return "nothing has begun yet";
  if (state === "finished") return `${what}: finished`;
  const count = `${what}: ${nDone}${nAll === undefined ? "" : ` of ${nAll}`} ${pieces[what] ?? "pieces"}`;
  return state === "running" ? count : `${count}; stopped, the same command goes on`;
}
