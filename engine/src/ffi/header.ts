import { EngineError } from "../engine.ts";

/** What bun:ffi wants to know of one function. */
export interface FfiSymbol {
  readonly args: readonly string[];
  readonly returns: string;
}

/** The bun:ffi type of each C type of the header; addresses are numbers, and an array given for one is refused. */
const ffiTypes: Readonly<Record<string, string>> = {
  void: "void",
  float: "f32",
  int32_t: "i32",
  uint64_t: "u64_fast",
  sd_address: "u64_fast",
};

/**
 * The functions of engine/include/safedelta.h, from its `SD_API int32_t name(type name, …);` lines.
 * @throws EngineError for a line of another form or an unknown type
 */
export function parseHeader(header: string): Record<string, FfiSymbol> {
  const lines = header.split("\n").filter((line) => line.startsWith("SD_API "));
  return Object.fromEntries(lines.map(parseLine));
}

/** SD_ABI_VERSION of the header. */
export function abiVersionOf(header: string): number {
  return Number(/^#define SD_ABI_VERSION (\d+)$/m.exec(header)?.[1]);
}

function parseLine(line: string): [string, FfiSymbol] {
  const match = /^SD_API (\w+) (\w+)\(([^)]*)\);$/.exec(line);
  if (!match) throw new EngineError("header", `a line that is no function of the known form: ${line}`);
  const [, returns, name, parameters] = match;
  const types = parameters.split(",").map((parameter) => ffiTypeOf(parameter.trim(), line));
  return [name, { args: types.filter((type) => type !== "void"), returns: ffiTypeOf(returns, line) }];
}

function ffiTypeOf(parameter: string, line: string): string {
  if (parameter.includes("*")) return "ptr";
  const type = ffiTypes[parameter.split(" ")[0]];
  if (type === undefined) throw new EngineError("header", `unknown type in ${line}`);
  return type;
}

/** The text of `symbols.ts`. */
export function symbolTable(header: string): string {
  const lines = Object.entries(parseHeader(header)).map(
    ([name, { args, returns }]) =>
      `  ${name}: { args: ${JSON.stringify(args)}, returns: ${JSON.stringify(returns)} },\n`,
  );
  return `// Generated from engine/include/safedelta.h by \`bun run build:abi\`.

export const abiVersion = ${abiVersionOf(header)};

// biome-ignore format: one function a line
export const symbols = {
${lines.join("").replaceAll('","', '", "')}} as const;
`;
}
