/** verify finds whatever was changed in an output, and every number that is not the one of the weights. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, encode, openSafetensors, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { type Engine, openEngine } from "@safedelta/engine";
import { silent, verifyOutput } from "@safedelta/pipeline";
import { reportJson, reportProblems, type SavedReport } from "@safedelta/report";
import { writePico } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

let world: World;
let engine: Engine;
beforeAll(async () => {
  world = await makeWorld();
  await writePico(world.at("base"), { seed: 1, delta: { seed: 3, size: 0.03 } });
  engine = (await openEngine("wasm")).engine;
});
afterAll(async () => {
  engine[Symbol.dispose]();
  await world[Symbol.asyncDispose]();
});

const outputs: Readonly<Record<string, readonly string[]>> = {
  sealed: ["--tuned", "tuned", "--loss", "0.2"],
  optimal: ["--tuned", "tuned", "--loss", "0.1"],
  pooled: ["--tuned", "tuned", "--global-loss", "0.1"],
  exact: ["--tuned", "tuned", "--mode", "exact", "--keep", "0.485"],
  reference: ["--tuned", "tuned", "--mode", "reference", "--scale", "0.3"],
  "safe-lora": ["--tuned", "tuned", "--method", "safe-lora", "--unaligned", "base", "--project-linears", "5"],
  resta: ["--tuned", "tuned", "--method", "resta", "--unaligned", "base", "--gamma", "0.5", "--drop", "0.3"],
  "random-mask": ["--tuned", "tuned", "--method", "random-mask", "--keep", "0.5"],
  lora: ["--tuned", "adapter", "--loss", "0.1", "--out-format", "lora"],
};

const write = (out: string) =>
  succeed(world.path, ["apply", "--aligned", world.at("aligned"), ...absolute(outputs[out]), "--out", out]);
const absolute = (flags: readonly string[]) => [
  "--state",
  world.at("state"),
  ...flags.map((word, i) => (["--tuned", "--unaligned"].includes(flags[i - 1]) ? world.at(word) : word)),
];

/** A place in a document: keys from the root down. */
type Path = readonly (string | number)[];

function numbersIn(value: unknown, path: Path = []): Path[] {
  if (typeof value === "number") return [path];
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, item]) => numbersIn(item, [...path, key]));
}

/** A copy with the number at `path` moved by one per cent (a whole one by 1). */
function falsified(report: SavedReport, path: Path): SavedReport {
  const copy = structuredClone(report);
  const holder = path.slice(0, -1).reduce((at, key) => at[key as never], copy as never) as unknown as Record<
    string,
    number
  >;
  const key = String(path.at(-1));
  holder[key] = Number.isInteger(holder[key]) ? holder[key] + 1 : holder[key] * 1.01;
  return copy;
}

/** The text of a report with a seal that fits. */
function resealed({ seal: _seal, schemaVersion: _version, ...report }: SavedReport): string {
  return reportJson(report);
}

const savedIn = (out: string): Promise<SavedReport> => Bun.file(world.at(out, "safedelta.json")).json();

async function problemsOf(out: string): Promise<readonly string[]> {
  const { problems } = await verifyOutput(engine, { folder: world.at(out), offline: true }, silent);
  return [...reportProblems(await savedIn(out)), ...problems];
}

describe("a number in safedelta.json that is not the one of the weights is found", () => {
  for (const out of Object.keys(outputs).filter((name) => name !== "sealed")) {
    test(out, async () => {
      await write(out);
      const saved = await savedIn(out);
      expect(await problemsOf(out)).toEqual([]);
      const recomputed = /^(layers|totals|safeData|budget|rival)\b/;
      const all = numbersIn(saved).filter((path) => recomputed.test(path.join()));
      // Linears are alike: all of them once, then the first one in each mode.
      const paths =
        out === "optimal"
          ? all
          : all.filter((path) => path[0] !== "layers" || /^layers,0,linears,0,/.test(path.join()));
      expect(all.length).toBeGreaterThan(14 * 8);
      const unseen = [];
      for (const path of paths) {
        await Bun.write(world.at(out, "safedelta.json"), resealed(falsified(saved, path)));
        if ((await problemsOf(out)).length === 0) unseen.push(path.join("."));
      }
      expect(unseen).toEqual([]);
    }, 300_000);
  }

  test("and so is any other, by the seal", async () => {
    await write("sealed");
    const saved = await savedIn("sealed");
    const unseen = numbersIn(saved).filter((path) => reportProblems(falsified(saved, path)).length === 0);
    expect(unseen).toEqual([]);
    expect(reportProblems({ ...saved, rest: "tuned" })).toEqual(["safedelta.json was changed after it was written."]);
  });
});

describe("the files beside the weights", () => {
  const changed = async (name: string, text: string) => {
    await rm(world.at("changed"), { recursive: true, force: true });
    await cp(world.at("files"), world.at("changed"), { recursive: true });
    await Bun.write(world.at("changed", name), text);
    return safedelta(world.path, ["verify", "changed", "--json"]);
  };
  beforeAll(async () => {
    await succeed(world.path, [
      "apply",
      "--aligned",
      "aligned",
      ...outputs.optimal,
      "--state",
      "state",
      "--out",
      "files",
    ]);
  });

  for (const name of ["config.json", "tokenizer.json"]) {
    test(`${name} was changed`, async () => {
      const { code, stdout } = await changed(name, `${await Bun.file(world.at("files", name)).text()} `);
      expect({ code, problems: JSON.parse(stdout).problems }).toEqual({
        code: 1,
        problems: [`${name} was changed after it was written.`],
      });
    });
  }

  const followed = [
    "added_tokens.json",
    "modeling_own.py",
    "pytorch_model.bin",
    "adapter_config.json",
    "x.safetensors",
  ];
  test.each(followed)("%s, which loaders follow, was added", async (name) => {
    const { stdout } = await changed(name, "{}");
    expect(JSON.parse(stdout).problems).toEqual([`${name} is not in safedelta.json.`]);
  });

  test("what no loader follows may be added", async () => {
    expect((await changed("notes.txt", "mine")).code).toBe(0);
  });

  for (const name of ["README.md", "report.html"])
    test(`an edited ${name} is told and is no fault`, async () => {
      const { code, stdout } = await changed(name, "# My model\n");
      expect(code).toBe(0);
      const notes = [`${name} was changed after it was written: its numbers are not checked.`];
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, notes });
    });

  test("the state may lie elsewhere, but must be the one", async () => {
    await cp(world.at("state"), world.at("moved"), { recursive: true });
    const away = ["verify", join("..", "files")];
    await Bun.write(world.at("elsewhere", "x"), "");
    expect((await succeed(world.path, ["verify", "files", "--state", "moved"])).stdout).toMatch(/with the state/);
    expect((await succeed(world.at("elsewhere"), away)).stdout).toMatch(
      /the input models were not checked \(aligned: /,
    );
    await succeed(world.path, ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "other"]);
    const { code, stderr } = await safedelta(world.path, ["verify", "files", "--state", "other"]);
    expect(code).toBe(4);
    expect(stderr).toContain("other: is not the state of this repair");
  });

  test("without the state the distances are checked", async () => {
    await rm(world.at("changed"), { recursive: true, force: true });
    await cp(world.at("files"), world.at("changed"), { recursive: true });
    const saved = await savedIn("files");
    const stateless = { ...saved, recipe: {} };
    await Bun.write(world.at("changed/safedelta.json"), resealed(stateless));
    expect(await jsonOf(world.path, ["verify", "changed"])).toMatchObject({
      ok: true,
      stateChecked: false,
      nNumbers: 42,
    });
    const wrong = falsified(stateless, ["layers", 0, "linears", 0, "deltaNorm"]);
    await Bun.write(world.at("changed/safedelta.json"), resealed(wrong));
    const { code, stdout } = await safedelta(world.path, ["verify", "changed"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/q_proj\.weight: deltaNorm is \S+, but safedelta\.json says/);
  });
});

describe("an edited safedelta.json is named as the cause, whatever the edit", () => {
  const edits: Record<string, (saved: Record<string, unknown>) => unknown> = {
    "totals gone": (saved) => ({ ...saved, totals: null }),
    "layers that are none": (saved) => ({ ...saved, layers: [null] }),
    "another mode": (saved) => ({ ...saved, mode: "exact" }),
    "another budget": (saved) => ({ ...saved, budget: { kind: "loss", value: 1.5 } }),
  };
  for (const [what, edit] of Object.entries(edits)) {
    test(what, async () => {
      const name = `edited ${what}`;
      await succeed(world.path, [
        "apply",
        "--aligned",
        "aligned",
        "--tuned",
        "tuned",
        "--state",
        "state",
        "--out",
        name,
      ]);
      const file = Bun.file(world.at(name, "safedelta.json"));
      await Bun.write(file, JSON.stringify(edit(await file.json()), null, 2));
      const { code, stdout, stderr } = await safedelta(world.path, ["verify", name]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
      expect(stdout).toStartWith("problem: safedelta.json was changed after it was written.\n");
    });
  }
});

describe("verify holds", () => {
  const rotary = "model.layers.0.self_attn.rotary_emb.inv_freq";
  const bytes = new Uint8Array(new Float32Array([1, 0.5, 0.25, 0.125]).buffer);
  const withRotary = (tensors: Map<string, Tensor>) =>
    tensors.set(rotary, { name: rotary, dtype: "F32", shape: [4], bytes });

  for (const role of ["aligned", "tuned"] as const) {
    test(`with stored rotary frequencies in the ${role} model only`, async () => {
      const delta = { seed: 2, size: 0.02 };
      const at = (name: string) => `rotary-${role}-${name}`;
      await writePico(world.at(at("aligned")), { seed: 1, ...(role === "aligned" ? { change: withRotary } : {}) });
      await writePico(world.at(at("tuned")), { seed: 1, delta, ...(role === "tuned" ? { change: withRotary } : {}) });
      const pair = ["--aligned", at("aligned"), "--tuned", at("tuned")];
      const data = ["--safe-data", "safe.jsonl", ...dataFlags];
      await succeed(world.path, ["apply", ...pair, ...data, "--loss", "0.1", "--out", at("out")]);
      expect(await jsonOf(world.path, ["verify", at("out")])).toMatchObject({ problems: [], inputsChecked: true });
    });
  }

  test("for an adapter stored in 16 bits, whose numbers are those of the rounded factors", async () => {
    await using source = await openSafetensorsOf("adapter");
    const tensors = source.tensors.map((t) => ({ ...t, dtype: "BF16" as const, bytes: encode(decodeF32(t), "BF16") }));
    await cp(world.at("adapter"), world.at("adapter16"), { recursive: true });
    await writeSafetensors(world.at("adapter16/adapter_model.safetensors"), tensors);
    const flags = ["--aligned", "aligned", "--tuned", "adapter16", "--state", "state", "--out-format", "lora"];
    await succeed(world.path, ["apply", ...flags, "--loss", "0.1", "--out", "lora16"]);
    expect(await jsonOf(world.path, ["verify", "lora16"])).toMatchObject({ problems: [], stateChecked: true });
  });
});

/** Every tensor of an adapter. */
async function openSafetensorsOf(folder: string) {
  const file = await openSafetensors(world.at(folder, "adapter_model.safetensors"));
  const tensors = await Promise.all([...file.tensors.keys()].map((name) => file.read(name)));
  return { tensors, [Symbol.asyncDispose]: () => file.close() };
}
