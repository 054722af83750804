import type { Markup, Part } from "./html.ts";
import { html } from "./html.ts";

/** A part of a page with a heading of its own. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Part;
}

export function sectionMarkup({ id, title, body }: Section): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}
</section>
`;
}

/** Rows from which a table scrolls in a box of its own, below its heads. */
const manyRows = 25;

/** A table that scrolls by itself where the window is narrow or the rows are many; the first column heads its rows and stays in sight. */
export function tableMarkup(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly Part[])[],
  kind = "numbers",
): Markup {
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  const body = rows.map(
    ([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>\n`,
  );
  const tall = rows.length >= manyRows ? " tall" : "";
  return html`<div class="scroll${tall}" tabindex="0" role="region" aria-label="${caption}">
<table class="${kind}"><caption><span>${caption}</span></caption><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`;
}

/** Terms with what is said of them. */
export function factsMarkup(facts: readonly (readonly [term: string, text: Part])[]): Markup {
  return html`<dl class="facts">${facts.map(([term, text]) => html`<dt>${term}</dt><dd>${text}</dd>\n`)}</dl>`;
}
