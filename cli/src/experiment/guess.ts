import { stat } from "node:fs/promises";
import { nElements, openCheckpoint, type TensorInfo, tensorBytes } from "@safedelta/checkpoint";
import type { Plan, Step } from "@safedelta/experiment";
import { type ModelConfig, parseConfig } from "@safedelta/model";
import { type Device, estimateModel, planParts } from "@safedelta/pipeline";
import { defaultModes, parseModes } from "../words.ts";
import { readRecord } from "./records.ts";

/** What a step will take; undefined where nothing tells. */
export interface Guess {
  readonly ms?: number;
  /** On disk when it is done. */
  readonly bytes?: number;
}

/** A model as its config and list of tensors tell it. */
interface Shape {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Tokens of an example, and examples, where only their most is known (as `estimate` has it). */
const [tokensEach, samplesMost] = [256, 512];

/** Bytes of JSONL for each token of a conversation, about. */
const bytesPerToken = 4;

/**
 * Guess sizes and times: by what the like took in this folder, else from the config of the model that a step begins with. Time is that of
 * products at the device's rate, so it is a lower bound; of answers nothing is known before the first were written.
 */
export async function guessSteps(out: string, plan: Plan, device: Device): Promise<(step: Step) => Promise<Guess>> {
  const takenMs = await timesOf(out, plan);
  const byArtefact = new Map([...plan.steps.values()].map((step) => [step.artefact, step]));
  const shapes = new Map<string, Promise<Shape | undefined>>();
  const shapeOf = (model: string): Promise<Shape | undefined> => {
    const maker = byArtefact.get(model);
    if (maker !== undefined) return shapeOf(modelOf(maker));
    const shape = shapes.get(model) ?? readShape(model);
    shapes.set(model, shape);
    return shape;
  };
  return async (step) => {
    const shape = await shapeOf(modelOf(step));
    const guess = shape === undefined ? {} : await estimated(step, shape, device);
    return { ...guess, ms: takenMs(step) ?? guess.ms };
  };
}

/** The model that a step begins with. */
function modelOf({ command, args, options }: Step): string {
  return command === "apply" ? String(options.aligned) : (args[0] ?? "");
}

async function readShape(model: string): Promise<Shape | undefined> {
  const checkpoint = await openCheckpoint(model, { offline: true }).catch(() => undefined);
  if (checkpoint === undefined) return undefined;
  const { tensors } = checkpoint;
  try {
    return { config: parseConfig(checkpoint.config), tensors };
  } catch {
    return undefined; // The step itself will tell what is wrong with it.
  } finally {
    await checkpoint.close();
  }
}

async function estimated(step: Step, { config, tensors }: Shape, device: Device): Promise<Guess> {
  const { command, options } = step;
  const msOf = (flop: number) => (1000 * flop) / device.productFlops;
  if (command === "finetune") {
    const infos = [...tensors.values()];
    const [bytes, n] = [
      infos.reduce((sum, info) => sum + tensorBytes(info), 0),
      infos.reduce((sum, info) => sum + nElements(info.shape), 0),
    ];
    const data = await stat(String(options.data)).catch(() => undefined);
    const tokens = data && (Number(options.epochs ?? 3) * data.size) / bytesPerToken;
    return { bytes: options["lora-rank"] === undefined ? bytes : undefined, ms: tokens && msOf(6 * n * tokens) };
  }
  if (command !== "prepare" && command !== "apply") return {};
  const modes = parseModes(String(options.modes ?? (command === "apply" ? (options.mode ?? "optimal") : defaultModes)));
  const nTokens = await safeTokens(options);
  const { prepare, apply } = estimateModel(config, tensors, planParts(config, modes, device.engine), nTokens);
  if (command === "prepare") return { bytes: prepare.stateBytes, ms: msOf(prepare.flop) };
  const onTheWay = options["safe-data"] === undefined ? 0 : prepare.flop;
  return { bytes: apply.outputBytes, ms: msOf(apply.flop + onTheWay) };
}

/** Tokens of the safe examples: as many as are asked for, but of a file that is there no more than it holds. */
async function safeTokens(options: Step["options"]): Promise<number> {
  const most =
    Number(options.samples ?? samplesMost) * Math.min(Number(options["max-tokens"] ?? tokensEach), tokensEach);
  const data = await stat(String(options["safe-data"])).catch(() => undefined);
  return data === undefined ? most : Math.min(most, data.size / bytesPerToken);
}

/** The mean time of the finished steps of the same name, or else of the same command; fine-tunings are too different to stand for each other. */
async function timesOf(out: string, { steps }: Plan): Promise<(step: Step) => number | undefined> {
  const keysOf = ({ id, command }: Step) => {
    const name = id.slice(0, id.lastIndexOf("-"));
    return command === "finetune" ? [name] : [name, command];
  };
  const times = new Map<string, number[]>();
  for (const step of steps.values()) {
    const record = await readRecord(out, step);
    for (const key of record ? keysOf(step) : []) times.set(key, [...(times.get(key) ?? []), record?.ms ?? 0]);
  }
  return (step) => {
    const found = keysOf(step)
      .map((key) => times.get(key))
      .find((list) => list !== undefined);
    return found && found.reduce((sum, ms) => sum + ms, 0) / found.length;
  };
}
