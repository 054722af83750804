import type { Progress } from "../../scene.ts";

/** How far the watched work is. */
export function Watched({ watched }: { readonly watched: readonly Progress[] }) {
  return (
    <section class="panel watched" aria-labelledby="watched-title">
      <h2 id="watched-title">Work under way</h2>
      {watched.map(({ folder, what, nDone, nAll, state }) => (
        <p key={folder} class="work">
          <span class="folder">{folder}</span>{" "}
          {state === "waiting"
            ? "nothing has begun yet"
            : state === "finished"
              ? `${what}: finished`
              : `${what}: ${nDone}${nAll === undefined ? "" : ` of ${nAll}`} pieces`}
          {state === "running" && nAll !== undefined && (
            <progress aria-label={`${what} of ${folder}`} value={nDone} max={nAll} />
          )}
        </p>
      ))}
    </section>
  );
}
