import type { Mode } from "@safedelta/core";
import type { EngineInfo } from "@safedelta/engine";
import { type GroupName, groupCols, type ModelConfig } from "@safedelta/model";

/** What of a group is kept: the factor of a family of modes; for `optimal` its spectrum or its Hessian. */
export type StatePart = "inverse" | "ordered" | "spectrum" | "hessian";

/** What is kept of each group of a layer. */
export type Parts = Readonly<Record<GroupName, readonly StatePart[]>>;

/** What `optimal` works from. */
export type OptimalPart = Extract<StatePart, "spectrum" | "hessian">;

const byFamily: readonly (readonly [modes: readonly Mode[], parts: readonly StatePart[]])[] = [
  [["reference", "none", "paper"], ["inverse"]],
  [["exact"], ["ordered"]],
  [["optimal"], ["spectrum", "hessian"]],
];

/** The parts that a mode can work from. */
function serving(mode: Mode): readonly StatePart[] {
  return byFamily.find(([modes]) => modes.includes(mode))?.[1] ?? [];
}

/**
 * The widest group whose spectrum `optimal` keeps, by engine; of wider ones it keeps the Hessian.
 *
 * A spectrum costs about 9 n³ flops in f64 once, and then two products for each linear and request. The Hessian costs nothing once, and
 * then for each λ a Cholesky, two solves and a product, with some five λ for a wanted loss: four to seven times the work of a request. A CPU decomposes at a
 * fifth to a half of its rate of products, so after two to six requests the spectrum has paid for itself, at any width; but it takes
 * 1½ minutes and some 2 GB a group at 8192 columns on two cores (by the cube and the square from 11 s at 4096), and at 11008 it does not fit
 * WebAssembly's 4 GiB beside a layer of that width. On a GPU the decomposition is bound by memory (22 n³ bytes): on paper
 * twenty times the time of all those λ; below some hundred columns either takes no time.
 */
const widestSpectrum: Readonly<Record<EngineInfo["name"], number>> = {
  cuda: 512,
  native: 8192,
  wasm: 8192,
  reference: 8192,
};

/** What `optimal` keeps of a group with so many inputs. */
export function optimalPart(engine: EngineInfo["name"], cols: number): OptimalPart {
  return cols <= widestSpectrum[engine] ? "spectrum" : "hessian";
}

/** What one mode keeps of a group with so many inputs. */
export function partFor(mode: Mode, cols: number, optimal: (cols: number) => OptimalPart): StatePart {
  return mode === "optimal" ? optimal(cols) : serving(mode)[0];
}

/** What modes keep of each group. @param optimal the rule for mode `optimal` */
export function planParts(
  config: ModelConfig,
  modes: readonly Mode[],
  engine: EngineInfo["name"],
  optimal = (cols: number) => optimalPart(engine, cols),
): Parts {
  const partsOf = (group: GroupName) => {
    const parts = modes.map((mode) => partFor(mode, groupCols(config, group), optimal));
    return [...new Set(parts)].sort();
  };
  return { qkv: partsOf("qkv"), o: partsOf("o"), gateUp: partsOf("gateUp"), down: partsOf("down") };
}

/** The modes that a state prepared for these ones serves. */
export function servedModes(modes: readonly Mode[]): Mode[] {
  return byFamily.filter(([family]) => family.some((mode) => modes.includes(mode))).flatMap(([family]) => family);
}

/** The modes that such parts serve. */
export function modesOf(parts: Parts): Mode[] {
  const served = (mode: Mode) =>
    Object.values(parts).every((kept) => serving(mode).some((part) => kept.includes(part)));
  return byFamily.flatMap(([modes]) => modes).filter(served);
}

/** One mode of each family that such parts serve: what `prepare --modes` takes to make them. */
export function familiesOf(parts: Parts): Mode[] {
  const served = modesOf(parts);
  return byFamily.map(([modes]) => modes[0]).filter((mode) => served.includes(mode));
}

/** The part of a group that a mode reads, if there is one. */
export function partOf(parts: Parts, group: GroupName, mode: Mode): StatePart | undefined {
  return serving(mode).find((part) => parts[group].includes(part));
}

/** The groups of which `optimal` has the Hessian. */
export function hessianGroups(parts: Parts): GroupName[] {
  return (Object.keys(parts) as GroupName[]).filter((group) => partOf(parts, group, "optimal") === "hessian");
}

/** The modes in words, with the groups that `optimal` serves by Cholesky. */
export function partWords(parts: Parts): string {
  const groups = hessianGroups(parts).join(", ");
  const words = modesOf(parts).map((mode) => (mode === "optimal" && groups ? `optimal (${groups} by Cholesky)` : mode));
  return words.join(", ");
}
