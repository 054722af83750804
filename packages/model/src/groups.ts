import type { ModelConfig } from "./config.ts";
import { atLayer, familyOf, type GroupName, groupNames, type Part } from "./families.ts";

/** A group of linears that share one input of `cols` numbers a token, hence one Hessian (cols x cols). */
export interface Group {
  readonly name: GroupName;
  /** Templates of the weights' tensor names. */
  readonly linears: readonly string[];
  readonly cols: number;
}

/** One linear: the name of its weight tensor, of shape rows x cols (outputs x inputs). */
export interface Linear {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
}

/** A group of one layer. */
export interface LayerGroup {
  readonly name: GroupName;
  readonly linears: readonly Linear[];
  readonly cols: number;
}

/** Rows of the part of a linear. */
export function partRows(config: ModelConfig, part: Part): number {
  const { nHeads, nKvHeads, headDim, intermediateSize, hiddenSize } = config;
  switch (part) {
    case "q":
      return nHeads * headDim;
    case "k":
    case "v":
      return nKvHeads * headDim;
    case "gate":
    case "up":
      return intermediateSize;
    case "o":
    case "down":
      return hiddenSize;
  }
}

/** Numbers a token that enter the linears of the group. */
export function groupCols(config: ModelConfig, group: GroupName): number {
  if (group === "o") return config.nHeads * config.headDim;
  return group === "down" ? config.intermediateSize : config.hiddenSize;
}

/** The four groups of every layer, in forward order, with name templates. */
export function groups(config: ModelConfig): Group[] {
  const { linears } = familyOf(config.family);
  return groupNames.map((name) => ({
    name,
    linears: linears[name].map(({ module }) => `${module}.weight`),
    cols: groupCols(config, name),
  }));
}

/** The groups of one layer, in forward order, with tensor names and shapes. */
export function groupsOfLayer(config: ModelConfig, layer: number): LayerGroup[] {
  const { linears } = familyOf(config.family);
  return groupNames.map((name) => {
    const cols = groupCols(config, name);
    const linear = ({ module, parts }: { module: string; parts: readonly Part[] }): Linear => ({
      name: atLayer(`${module}.weight`, layer),
      rows: parts.reduce((sum, part) => sum + partRows(config, part), 0),
      cols,
    });
    return { name, linears: linears[name].map(linear), cols };
  });
}

/** Names of the weight tensors of a layer's linears, in forward order. */
export function linearNames(config: ModelConfig, layer: number): string[] {
  return groupsOfLayer(config, layer).flatMap((group) => group.linears.map(({ name }) => name));
}
