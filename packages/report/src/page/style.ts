import { colors } from "../plots/plotSpec.ts";
import { plotStyle } from "../plots/plotStyle.ts";

/** Colours of a page: surfaces with their inks, the series of plots, and the heat maps' grounds from nothing to the most with the ink on each. */
export const pageColors = {
  light: {
    surfaces: {
      ground: "#fff",
      soft: "#f3f5f8",
      ink: "#1a1d21",
      dim: "#555c66",
      line: "#d3d8de",
      link: "#0b5cad",
      warn: "#8f2600",
      warnsoft: "#fff1ea",
    },
    series: colors,
    heats: [
      ["#f7fbff", "#111"],
      ["#e1edf8", "#111"],
      ["#cbdef0", "#111"],
      ["#a6cee4", "#111"],
      ["#79b5d9", "#111"],
      ["#3475ab", "#fff"],
      ["#1f62a0", "#fff"],
      ["#08306b", "#fff"],
    ],
  },
  dark: {
    surfaces: {
      ground: "#0f1216",
      soft: "#1a1f26",
      ink: "#e8eaed",
      dim: "#a8b0ba",
      line: "#38404a",
      link: "#7fb8f5",
      warn: "#ffb08a",
      warnsoft: "#2e1b12",
    },
    series: ["#ff9a5c", "#5ab4f0", "#3ddbab", "#e79ac5", "#9fd4f5", "#f2b640", "#f0e442", "#b5b5b5"],
    heats: [
      ["#161b22", "#eee"],
      ["#17283c", "#eee"],
      ["#1a3654", "#eee"],
      ["#1d4670", "#eee"],
      ["#22598f", "#fff"],
      ["#6fa8dc", "#111"],
      ["#a5c9ec", "#111"],
      ["#dcebfa", "#111"],
    ],
  },
} as const;

function scheme(name: "light" | "dark"): string {
  const { surfaces, series } = pageColors[name];
  const named = Object.entries(surfaces).map(([key, color]) => `--${key}:${color}`);
  return [...named, ...series.map((color, i) => `--s${i}:${color}`)].join(";");
}

function heatScheme(name: "light" | "dark"): string {
  return pageColors[name].heats.map(([ground, ink], i) => `--h${i}:${ground};--i${i}:${ink}`).join(";");
}

const each = (n: number, rule: (i: number) => string) => Array.from({ length: n }, (_, i) => rule(i)).join("\n");

/** What `heatTable` needs of a page's style sheet, beside the colours `dim` and `ground`. */
export const heatStyle = `:root{${heatScheme("light")}}
@media screen and (prefers-color-scheme:dark){:root{${heatScheme("dark")}}}
.scroll{overflow-x:auto;max-width:100%}
.scroll th:first-child{position:sticky;left:0;z-index:1;background:var(--ground)}
caption{text-align:left;font-weight:600;padding:.3rem 0 .4rem}
caption span{display:inline-block;position:sticky;left:0;max-width:calc(100vw - 2rem)}
.heat{font-size:.8rem;width:100%;border-collapse:separate;border-spacing:1px;font-variant-numeric:tabular-nums}
.heat th,.heat td{padding:.16rem .3rem;border:0;text-align:right}
.heat thead th{color:var(--dim);font-weight:600}
.heat thead th:first-child,.heat tbody th{text-align:left;color:var(--dim)}
${each(8, (i) => `.h${i}{background:var(--h${i});color:var(--i${i})}`)}`;

/** The whole style sheet of a page. */
export const style = `:root{color-scheme:light dark;${scheme("light")}}
@media screen and (prefers-color-scheme:dark){:root{${scheme("dark")}}}
*{box-sizing:border-box}
html{font:clamp(16px,13px + .22vw,26px)/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink)}
main,header,footer{max-width:74rem;margin:0 auto;padding:0 clamp(.9rem,3vw,2.5rem)}
header{padding-top:2.2rem}
h1{font-size:1.75rem;line-height:1.2;margin:.2rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p,li,dd{max-width:68ch}
.made{color:var(--dim);margin:0;font-size:.85rem;letter-spacing:.02em}
.note{color:var(--dim);font-size:.9rem}
.answers .note{margin:.3rem 0 0}
a{color:var(--link)}
code,pre,bdi.text{font-family:ui-monospace,"SF Mono",Consolas,"DejaVu Sans Mono",monospace;font-size:.88em;overflow-wrap:anywhere;unicode-bidi:isolate}
code{background:var(--soft);padding:.05em .3em;border-radius:.2em}
pre{background:var(--soft);padding:.8rem 1rem;border-radius:.4rem;white-space:pre-wrap;border:1px solid var(--line)}
pre code{background:none;padding:0}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:1.2rem 0 0;font-size:.9rem}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.8rem;margin:1.4rem 0 0;padding:0}
.tiles div{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;display:flex;flex-direction:column-reverse;justify-content:flex-end}
.tiles dt{color:var(--dim);font-size:.82rem;line-height:1.35}
.tiles dd{margin:0;font-size:1.6rem;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.25}
table{border-collapse:separate;border-spacing:0;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.32rem .7rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
thead th{vertical-align:bottom;color:var(--dim);font-weight:600}
th:first-child,td:first-child,.words th,.words td{text-align:left}
tbody th{font-weight:500}
td .n,th .n{display:block;font-weight:400;color:var(--dim);font-size:.82em;white-space:nowrap}
td .value{font-weight:600}
.numbers td{white-space:nowrap}
.tall{max-height:min(85vh,60rem);overflow-y:auto;border-bottom:1px solid var(--line)}
.tall thead th{position:sticky;top:0;z-index:2;background:var(--ground)}
.tall thead th:first-child{z-index:3}
.words td{overflow-wrap:anywhere;min-width:10rem}
.bar{display:block;width:7.5rem;height:1rem;margin:.15rem 0 0 auto}
.bar path{stroke:currentColor;stroke-width:2;fill:none}
.bar .base{stroke:var(--line)}
.bar circle{fill:currentColor}
.maps{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.4rem 2rem}
figure{margin:1rem 0;max-width:46rem}
.beside{display:grid;grid-template-columns:minmax(0,1fr);gap:0 2.5rem;align-items:start}
@media (min-width:68rem){.beside{grid-template-columns:minmax(0,26fr) minmax(0,25fr)}.beside table{font-size:.82rem}.beside th,.beside td{padding:.25rem .4rem}}
.plots{display:grid;align-items:end;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:0 2rem}
.plot{display:block;width:100%;min-width:25rem;height:auto;color:var(--ink)}
figcaption{font-weight:600}
${plotStyle}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;margin:.4rem 0;font-size:.88rem}
.together ul{margin:.2rem 0;padding-left:1.2rem}
.key{width:28px;height:16px;vertical-align:-2px}
details{margin:.8rem 0}
summary{cursor:pointer;color:var(--link)}
.sample{border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem;margin:.9rem 0}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr));gap:.8rem;margin:.6rem 0 0}
.answers h4,.sample h4{margin:0 0 .2rem;font-size:.85rem;color:var(--dim)}
.said{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;max-width:none}
.warning{border:2px solid var(--warn);background:var(--warnsoft);border-radius:.5rem;padding:.7rem 1rem}
.warning>summary{color:var(--warn);font-weight:650}
.facts{display:grid;grid-template-columns:minmax(8rem,auto) 1fr;gap:.35rem 1.2rem;margin:.8rem 0}
.facts dt{color:var(--dim)}
.facts dd{margin:0;overflow-wrap:anywhere;max-width:none}
footer{color:var(--dim);font-size:.85rem;padding-top:2.5rem;padding-bottom:3rem}
@media (max-width:34rem){.numbers th:first-child{min-width:6.5rem;max-width:42vw;overflow-wrap:break-word}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.6rem}th,td{padding:.28rem .4rem}h1{font-size:1.4rem}}
@media print{html{font-size:10pt}nav,.skip{display:none}main,header,footer{max-width:none;padding-left:0;padding-right:0}h2,h3,figcaption,caption{break-after:avoid}figure,tr,.sample,.tiles{break-inside:avoid}.scroll{overflow:visible;max-height:none}.scroll th{position:static!important}details:not(.warning)::details-content{content-visibility:visible}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
${heatStyle}`;
