/** The rivals on the pico pair, from files to files: each against its formula in f64, resumed to the same bytes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, openCheckpoint, type Tensor } from "@safedelta/checkpoint";
import { randomStream } from "@safedelta/model";
import { type RivalChoice, type RivalOptions, silent, thirdModel } from "@safedelta/pipeline";
import { innerProduct } from "../core/linears.ts";
import { folderHashes, scratchFolder, writePico } from "../support/pico.ts";
import { combine, multiply, norm, type Plain, plainOf, transpose } from "../support/plain.ts";
import {
  Interruption,
  interruptAt,
  prepareOptions,
  runApply,
  runPlan,
  runPrepare,
  safeData,
  writePair,
} from "./job.ts";

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
const at = (...names: readonly string[]) => join(scratch.path, ...names);

beforeAll(async () => {
  scratch = await scratchFolder();
  const { aligned } = await writePair(scratch.path);
  await writePico(at("third"), { seed: 1, delta: { seed: 3, size: 0.03 } });
  await runPrepare(prepareOptions(aligned, at("state")));
});
afterAll(() => scratch[Symbol.asyncDispose]());

function optionsFor(rival: RivalChoice, out: string, change: Partial<RivalOptions> = {}): RivalOptions {
  const third = thirdModel[rival.method] && at("third");
  const place = { out: at(out), rest: "aligned", maxShardBytes: 5e9, offline: true, overwrite: false } as const;
  const models = { aligned: at("aligned"), tuned: at("tuned"), source: { state: at("state") }, third };
  return { ...models, rival, seed: 7, ...place, ...change };
}

/** Every linear of a model in forward order, in f64. */
async function linearsOf(folder: string): Promise<Map<string, Plain>> {
  await using model = await openCheckpoint(folder).then((checkpoint) => ({
    checkpoint,
    [Symbol.asyncDispose]: () => checkpoint.close(),
  }));
  const order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
  const names = [0, 1].flatMap((layer) =>
    order.map((name) => `model.layers.${layer}.${order.indexOf(name) < 4 ? "self_attn" : "mlp"}.${name}.weight`),
  );
  const entries = names.map(async (name) => {
    const tensor = await model.checkpoint.read(name);
    return [name, plainOf(tensor.shape[0], tensor.shape[1], decodeF32(tensor))] as const;
  });
  return new Map(await Promise.all(entries));
}

interface Linear {
  readonly w: Plain;
  readonly t: Plain;
  readonly u: Plain;
  readonly draw: () => number;
}

const cosineOf = ({ w, t, u }: Linear) => {
  const [delta, v] = [combine(1, t, -1, w), combine(1, w, -1, u)];
  const projected = multiply(multiply(v, transpose(v)), delta);
  const scaled = combine(1 / norm(v), projected, 0, projected);
  return { scaled, cosine: innerProduct(scaled, delta) / (norm(scaled) * norm(delta)) };
};

/** What the papers say, of one linear: W, tuned T, third U. */
const formulas: readonly (readonly [RivalChoice, (linear: Linear, all: readonly Linear[]) => Plain])[] = [
  [{ method: "wise-ft", alpha: 0.3 }, ({ w, t }) => combine(0.7, w, 0.3, t)],
  [{ method: "negation", weight: 0.5 }, ({ w, t, u }) => combine(1, t, -0.5, combine(1, u, -1, w))],
  [{ method: "resta", gamma: 0.4, drop: 0 }, ({ w, t, u }) => combine(1, t, 0.4, combine(1, w, -1, u))],
  [
    { method: "resta", gamma: 0.4, drop: 0.3 },
    (linear) => combine(1, dropped(linear, 0.3), 0.4, combine(1, linear.w, -1, linear.u)),
  ],
  [{ method: "dare", drop: 0.6 }, (linear) => dropped(linear, 0.6)],
  [
    { method: "random-mask", keep: 0.5 },
    ({ w, t, draw }) => ({ ...w, values: w.values.map((value, i) => (draw() < 0.5 ? t.values[i] : value)) }),
  ],
  [
    { method: "safe-lora", nProjected: 5 },
    (linear, all) => {
      const fifth = all.map((one) => cosineOf(one).cosine).sort((a, b) => a - b)[4];
      const { scaled, cosine } = cosineOf(linear);
      return cosine <= fifth ? combine(1, linear.w, 1, scaled) : linear.t;
    },
  ],
  [
    { method: "safe-lora", threshold: 0.3 },
    (linear) => {
      const { scaled, cosine } = cosineOf(linear);
      return cosine <= 0.3 ? combine(1, linear.w, 1, scaled) : linear.t;
    },
  ],
];

function dropped({ w, t, draw }: Linear, drop: number): Plain {
  const values = w.values.map((value, i) => value + (draw() >= drop ? (t.values[i] - value) / (1 - drop) : 0));
  return { ...w, values };
}

async function readAll(): Promise<Map<string, Linear>> {
  const [w, t, u] = await Promise.all(["aligned", "tuned", "third"].map((name) => linearsOf(at(name))));
  const names = [...w.keys()];
  return new Map(
    names.map((name, place) => [
      name,
      { w: w.get(name) as Plain, t: t.get(name) as Plain, u: u.get(name) as Plain, draw: randomStream(7, place) },
    ]),
  );
}

const nameOf = (rival: RivalChoice) => Object.values(rival).join("-");

describe("every linear of the pico pair is the published formula's", () => {
  test.each(formulas)("%j", async (rival, formula) => {
    const facts = await runApply(optionsFor(rival, nameOf(rival)));
    const linears = await readAll();
    const made = await linearsOf(at(nameOf(rival)));
    const told = new Map(facts.layers.flatMap(({ linears }) => linears).map((linear) => [linear.name, linear]));
    for (const [name, linear] of linears) {
      const wanted = formula(linear, [...linears.values()]);
      const gap = norm(combine(1, made.get(name) as Plain, -1, wanted));
      expect({ name, isNear: gap < 1e-5 * norm(wanted) }).toEqual({ name, isNear: true });
      expect(told.get(name)?.deltaNorm).toBeCloseTo(norm(combine(1, wanted, -1, linear.w)), 4);
    }
  });

  test("of Safe LoRA so many linears are projected as were asked for, and more than there are is all", async () => {
    const projected = async (nProjected: number) => {
      const facts = await runApply(optionsFor({ method: "safe-lora", nProjected }, `projected-${nProjected}`));
      return facts.layers.flatMap(({ linears }) => linears).filter(({ keptShare }) => keptShare === 0).length;
    };
    expect([await projected(1), await projected(5), await projected(99)]).toEqual([1, 5, 14]);
  });

  test("of Safe LoRA linears that fine-tuning did not change are none of those", async () => {
    const original = await openCheckpoint(at("aligned"));
    const untouched = await Promise.all(
      [0, 1].map((layer) => original.read(`model.layers.${layer}.mlp.down_proj.weight`)),
    );
    await original.close();
    const change = (tensors: Map<string, Tensor>) => {
      for (const tensor of untouched) tensors.set(tensor.name, tensor);
    };
    await writePico(at("partly"), { seed: 1, delta: { seed: 2, size: 0.02 }, change });
    const cosinesFor = async (nProjected: number) => {
      const rival = { method: "safe-lora", nProjected } as const;
      const facts = await runApply(optionsFor(rival, `partly-${nProjected}`, { tuned: at("partly") }));
      return facts.layers
        .flatMap(({ linears }) => linears)
        .filter(({ cosine, keptShare }) => cosine !== 0 && keptShare === 0);
    };
    expect([(await cosinesFor(3)).length, (await cosinesFor(99)).length]).toEqual([3, 12]);
  });
});

describe("a run", () => {
  const bytesOf = async (options: RivalOptions) => {
    await runApply(options);
    return (await folderHashes(options.out))["model.safetensors"];
  };

  test("draws its masks by the seed, and of each linear another", async () => {
    const rival = { method: "random-mask", keep: 0.5 } as const;
    const [a, b, c] = [
      await bytesOf(optionsFor(rival, "seed-a", { seed: 1 })),
      await bytesOf(optionsFor(rival, "seed-b", { seed: 1 })),
      await bytesOf(optionsFor(rival, "seed-c", { seed: 2 })),
    ];
    expect([a === b, a === c]).toEqual([true, false]);
    const [t, made] = [await linearsOf(at("tuned")), await linearsOf(at("seed-a"))];
    const maskOf = (name: string) => made.get(name)?.values.map((value, i) => Number(value === t.get(name)?.values[i]));
    const [gate, up] = ["gate_proj", "up_proj"].map((name) => maskOf(`model.layers.0.mlp.${name}.weight`));
    expect(gate?.join("")).not.toBe(up?.join(""));
  });

  /** With the step of the repair at which they are: Safe LoRA hashes its third model and measures 14 linears first. */
  const interrupted: readonly (readonly [RivalChoice, number])[] = [
    [{ method: "safe-lora", nProjected: 5 }, 19],
    [{ method: "random-mask", keep: 0.5 }, 4],
  ];
  test.each(interrupted)("that was interrupted ends with the same bytes: %j", async (rival, step) => {
    const wanted = optionsFor(rival, `whole-${rival.method}`);
    await runApply(wanted);
    const options = optionsFor(rival, `resumed-${rival.method}`);
    await expect(runApply(options, interruptAt(step))).rejects.toThrow(Interruption);
    const resumed: string[] = [];
    await runApply(options, { ...silent, stage: (name) => void resumed.push(name) });
    expect(resumed).toContain("checking the finished pieces");
    const [first, second] = [await folderHashes(wanted.out), await folderHashes(options.out)];
    expect(second["model.safetensors"]).toBe(first["model.safetensors"]);
    expect(second["safedelta.json"]).toBe(first["safedelta.json"]);
  });

  test("does not go on with another third model, or seed, than it began with", async () => {
    await cp(at("third"), at("changing"), { recursive: true });
    const rival = { method: "resta", gamma: 1, drop: 0.5 } as const;
    const options = optionsFor(rival, "changed", { third: at("changing") });
    await expect(runApply(options, interruptAt(6))).rejects.toThrow(Interruption);
    await expect(runApply({ ...options, seed: 8 })).rejects.toMatchObject({ kind: "usage" });
    await writePico(at("changing"), { seed: 1, delta: { seed: 4, size: 0.03 } });
    await expect(runApply(options)).rejects.toMatchObject({ kind: "usage" });
    await runApply({ ...options, overwrite: true });
  });

  test("takes a third model of another storage type", async () => {
    await writePico(at("third16"), { seed: 1, dtype: "BF16", delta: { seed: 3, size: 0.03 } });
    const facts = await runApply(optionsFor({ method: "negation", weight: 1 }, "from16", { third: at("third16") }));
    expect(facts.third).toMatchObject({ spec: at("third16"), name: "third16" });
    expect(facts.dtype).toBe("F32");
  });

  test("prepares on the way for what measures it", async () => {
    const source = { safeData };
    const rival = { method: "wise-ft", alpha: 0.5 } as const;
    const facts = await runApply(optionsFor(rival, "unprepared", { source }));
    const known = await runApply(optionsFor(rival, "prepared"));
    expect(facts.tensors).toEqual(known.tensors);
    expect(facts.statePlan.modes).toEqual(["optimal"]);
  });

  test("asks for more memory with a projection than without", async () => {
    const memoryOf = async (rival: RivalChoice) => (await runPlan(optionsFor(rival, "planned"))).estimate.memoryBytes;
    const plain = await memoryOf({ method: "resta", gamma: 1, drop: 0 });
    expect(await memoryOf({ method: "safe-lora", threshold: 0.5 })).toBeGreaterThan(plain);
    const small = optionsFor({ method: "wise-ft", alpha: 0.5 }, "planned", { maxMemoryBytes: 1000 });
    await expect(runPlan(small)).rejects.toMatchObject({ kind: "resources" });
  });
});

describe("what does not go together is refused before the work", () => {
  const wrong: readonly (readonly [string, RivalChoice, Partial<RivalOptions>, string, RegExp])[] = [
    [
      "no third model",
      { method: "resta", gamma: 1, drop: 0 },
      { third: undefined },
      "usage",
      /resta needs the unaligned model: add --unaligned MODEL/,
    ],
    [
      "one too many",
      { method: "wise-ft", alpha: 0.5 },
      { third: "x" },
      "usage",
      /wise-ft works from the aligned and the tuned model alone/,
    ],
    ["a dial out of range", { method: "wise-ft", alpha: 2 }, {}, "usage", /alpha must lie in 0 … 1/],
    ["no linear", { method: "safe-lora", nProjected: 0 }, {}, "usage", /projects 1 linear or more, not 0/],
  ];
  test.each(wrong)("%s", async (_name, rival, change, kind, message) => {
    const run = runPlan(optionsFor(rival, "refused", change));
    await expect(run).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test("a third model of other sizes, by its linears", async () => {
    await writePico(at("wide"), { seed: 1, config: { intermediate_size: 48 } });
    const run = runPlan(optionsFor({ method: "negation", weight: 1 }, "refused", { third: at("wide") }));
    const message = expect.stringMatching(
      /wide has other linears than .*aligned:\n.*gate_proj\.weight is \[48,24\] instead of \[40,24\]/,
    );
    await expect(run).rejects.toMatchObject({ kind: "incompatible", message });
  });

  test("an output in the place of the third model", async () => {
    const options = optionsFor({ method: "negation", weight: 1 }, "third", { overwrite: true });
    const message = expect.stringMatching(/third: is an input of this repair/);
    await expect(runPlan(options)).rejects.toMatchObject({ kind: "usage", message });
  });

  test("a third model that does not differ from the aligned one, for a projection", async () => {
    const options = optionsFor({ method: "safe-lora", threshold: 0.5 }, "same", { third: at("aligned") });
    const message = expect.stringMatching(/layers\.0\.self_attn\.q_proj\.weight: .*no direction of alignment/);
    await expect(runApply(options)).rejects.toMatchObject({ kind: "incompatible", message });
  });
});
