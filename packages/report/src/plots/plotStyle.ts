import { colors } from "./plotSpec.ts";

/** How plots look, beside the colours of a page: `ink`, `dim`, `line`, `soft`, `ground` and the series' `s0`, `s1`, …. */
export const plotStyle = `.plot text{fill:var(--ink);font:13px system-ui,sans-serif}
.plot .tick{fill:var(--dim);font-size:12px}
.plot .grid{stroke:var(--line);fill:none}
.plot .ground{fill:var(--soft)}
.line{fill:none;stroke-width:2;stroke:currentColor}
.ring{fill:none;stroke:var(--ink);stroke-width:1.5}
.mark{fill:currentColor;stroke:var(--ground);stroke-width:1}
${colors.map((_, i) => `.s${i}{color:var(--s${i})}`).join("\n")}`;

const named = { ink: "#1a1d21", dim: "#555c66", line: "#d3d8de", soft: "#f3f5f8", ground: "#fff" };
const seriesColors = colors.map((color, i) => [`s${i}`, color] as const);

/** The style sheet of a plot that is a file of its own: on white, whatever is around it. */
export const fileStyle = `svg{${[...Object.entries(named), ...seriesColors].map(([name, color]) => `--${name}:${color}`).join(";")}}
.paper{fill:#fff}
${plotStyle}`;
