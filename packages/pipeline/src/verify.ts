import { join } from "node:path";
import { classifyPath, decodeF32, openAdapter, openCheckpoint } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import { readJson, sha256 } from "./files.ts";
import { hashModel, type OpenedModel, openModelFiles } from "./models.ts";
import { type Progress, tellOpening } from "./progress.ts";

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
  /** Why not. */
  readonly inputsProblem?: string;
  readonly nNorms: number;
  readonly problems: readonly string[];
}

/** Rounding to 16 bits moves ‖D‖ by less than this share of ‖W‖·2⁻⁸. */
const roundingShare = 2 ** -8;

/**
 * Check a repaired model or adapter: every tensor's hash; and where both input models are at hand, their hashes and each linear's
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
  const recorded = await readJson<Recorded | null>(path);
  if (!recorded?.tensors || !Array.isArray(recorded.layers) || !recorded.aligned || !recorded.tuned)
    throw new PipelineError("incompatible", `${path}: is damaged, parts of it are missing.`);
  await using opened = new AsyncDisposableStack();
  const isAdapter = (await classifyPath(folder)) === "adapter";
  const output = isAdapter
    ? await openAdapter(folder)
    : await openCheckpoint(folder, { offline, ...tellOpening(progress) });
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
  const counts = { nTensors: names.length, problems };
  const why = "its own tensors are not those that were written";
  if (problems.length > 0) return { ...counts, inputsChecked: false, inputsProblem: why, nNorms: 0 };
  const inputs = await openInputs(recorded, offline, opened, progress);
  if (typeof inputs === "string") return { ...counts, inputsChecked: false, inputsProblem: inputs, nNorms: 0 };
  const repaired = opened.use(await openModelFiles(folder, offline, progress, inputs.aligned.checkpoint));
  const nNorms = await checkInputs(recorded, inputs, repaired, problems, progress);
  return { ...counts, inputsChecked: true, nNorms };
}

type Inputs = { readonly aligned: OpenedModel; readonly tuned: OpenedModel };

/** Both input models, or why they cannot be opened. */
async function openInputs(
  { aligned, tuned }: Recorded,
  offline: boolean,
  opened: AsyncDisposableStack,
  progress: Progress,
): Promise<Inputs | string> {
  try {
    const first = opened.use(await openModelFiles(aligned.spec, offline, progress));
    return { aligned: first, tuned: opened.use(await openModelFiles(tuned.spec, offline, progress, first.checkpoint)) };
  } catch (error) {
    return (error as Error).message;
  }
}

async function checkInputs(
  recorded: Recorded,
  inputs: Inputs,
  repaired: OpenedModel,
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
    const read = async ({ checkpoint }: OpenedModel) => decodeF32(await checkpoint.read(linear.name));
    const [w, t, r] = [await read(inputs.aligned), await read(inputs.tuned), await read(repaired)];
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
