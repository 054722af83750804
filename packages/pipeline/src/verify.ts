import { join } from "node:path";
import { decodeF32, openCheckpoint } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import { readJson, sha256 } from "./files.ts";
import { hashModel, openModelFiles } from "./models.ts";
import type { Progress } from "./progress.ts";

/** What `verify` needs to know of safedelta.json. */
interface Recorded {
  readonly aligned: { readonly spec: string; readonly hash: string };
  readonly tuned: { readonly spec: string; readonly hash: string };
  readonly tensors: Readonly<Record<string, string>>;
  readonly layers: readonly {
    readonly linears: readonly { name: string; deltaNorm: number; tunedDeltaNorm: number }[];
  }[];
}

/** What was checked, and what does not hold. */
export interface Verification {
  readonly nTensors: number;
  /** False: the models named in safedelta.json are not here, so only the output's own hashes were checked. */
  readonly inputsChecked: boolean;
  readonly nNorms: number;
  readonly problems: readonly string[];
}

/** Rounding to 16 bits moves ‖D‖ by less than this share of ‖W‖·2⁻⁸. */
const roundingShare = 2 ** -8;

/**
 * Check a repaired model: every tensor's hash; and where both input models are at hand, their hashes and each linear's
 * ‖repaired − aligned‖ and ‖tuned − aligned‖ against safedelta.json.
 * @throws PipelineError `incompatible` when the folder holds no safedelta.json
 */
export async function verifyOutput(folder: string, offline: boolean, progress: Progress): Promise<Verification> {
  const path = join(folder, "safedelta.json");
  if (!(await Bun.file(path).exists())) {
    throw new PipelineError(
      "incompatible",
      `${folder}: has no safedelta.json, so it was not written by safedelta apply.`,
    );
  }
  const recorded = await readJson<Recorded>(path);
  await using opened = new AsyncDisposableStack();
  const output = await openCheckpoint(folder, { offline });
  opened.defer(() => output.close());
  const problems: string[] = [];
  const names = Object.keys(recorded.tensors);
  progress.stage("hashing the output", names.length);
  for (const name of new Set([...names, ...output.tensors.keys()])) {
    if (!output.tensors.has(name)) problems.push(`${name} is missing.`);
    else if (!(name in recorded.tensors)) problems.push(`${name} is not in safedelta.json.`);
    else if (sha256((await output.read(name)).bytes) !== recorded.tensors[name])
      problems.push(`${name} was changed after it was written.`);
    progress.step(name);
  }
  const inputs = await openInputs(recorded, offline, opened);
  const nNorms = inputs ? await checkInputs(recorded, inputs, output, problems, progress) : 0;
  return { nTensors: names.length, inputsChecked: inputs !== undefined, nNorms, problems };
}

type Inputs = {
  aligned: Awaited<ReturnType<typeof openModelFiles>>;
  tuned: Awaited<ReturnType<typeof openModelFiles>>;
};

async function openInputs(
  { aligned, tuned }: Recorded,
  offline: boolean,
  opened: AsyncDisposableStack,
): Promise<Inputs | undefined> {
  try {
    const first = opened.use(await openModelFiles(aligned.spec, offline));
    return { aligned: first, tuned: opened.use(await openModelFiles(tuned.spec, offline, first.checkpoint)) };
  } catch {
    return undefined;
  }
}

async function checkInputs(
  recorded: Recorded,
  inputs: Inputs,
  output: Awaited<ReturnType<typeof openCheckpoint>>,
  problems: string[],
  progress: Progress,
): Promise<number> {
  progress.stage("hashing the inputs", 2);
  for (const role of ["aligned", "tuned"] as const) {
    if ((await hashModel(inputs[role])).sha256 !== recorded[role].hash)
      problems.push(`The ${role} model ${recorded[role].spec} has changed.`);
    progress.step(role);
  }
  const linears = recorded.layers.flatMap((layer) => layer.linears);
  progress.stage("checking the numbers", linears.length);
  for (const linear of linears) {
    const read = async (model: { read(name: string): Promise<Parameters<typeof decodeF32>[0]> }) =>
      decodeF32(await model.read(linear.name));
    const [w, t, r] = [await read(inputs.aligned.checkpoint), await read(inputs.tuned.checkpoint), await read(output)];
    const slack = roundingShare * norm(w, zero);
    check(problems, `${linear.name}: deltaNorm`, norm(r, w), linear.deltaNorm, slack);
    check(problems, `${linear.name}: tunedDeltaNorm`, norm(t, w), linear.tunedDeltaNorm, slack);
    progress.step(linear.name);
  }
  return 2 * linears.length;
}

const zero: ArrayLike<number> = [];

function norm(a: Float32Array, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - (b[i] ?? 0)) ** 2;
  return Math.sqrt(sum);
}

function check(problems: string[], what: string, found: number, recorded: number, slack: number): void {
  if (Math.abs(found - recorded) <= 1e-3 * recorded + slack) return;
  problems.push(`${what} is ${found.toPrecision(6)}, but safedelta.json says ${recorded.toPrecision(6)}.`);
}
