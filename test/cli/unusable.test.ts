import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp, mkdir, rm, symlink, truncate } from "node:fs/promises";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { stateFormat } from "@safedelta/pipeline";
import { writePico } from "../support/pico.ts";
import { safedelta, succeed } from "./run.ts";
import { dataFlags, makeWorld, type World, writeAdapter } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await succeed(world.path, ["apply", ...pair, ...state, "--max-shard-size", "4KB", "--out", "sharded"]);
  await succeed(world.path, ["apply", ...pair, ...state, "--out", "repaired"]);
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const state = ["--state", "state"];
const prepare = (model: string) => ["prepare", model, "--safe-data", "safe.jsonl", ...dataFlags];
const apply = (tuned: string) => ["apply", "--aligned", "aligned", "--tuned", tuned, ...state];

/** A copy of a folder to be damaged. */
async function copyOf(folder: string, name: string): Promise<void> {
  await cp(world.at(folder), world.at(name), { recursive: true });
}

/** A copy of the tuned model with a file written over. */
async function withFile(name: string, file: string, text: string): Promise<void> {
  await copyOf("tuned", name);
  await Bun.write(world.at(name, file), text);
}

async function withConfig(name: string, change: Record<string, unknown>): Promise<void> {
  const config = await Bun.file(world.at("tuned/config.json")).json();
  await withFile(name, "config.json", JSON.stringify({ ...config, ...change }));
}

/** A tuned model with one tensor changed. */
async function withTensor(name: string, tensor: string, change: (tensor: Tensor) => Tensor | undefined) {
  await writePico(world.at(name), {
    seed: 1,
    change: (tensors) => {
      const found = tensors.get(tensor);
      const changed = found && change(found);
      if (changed) tensors.set(tensor, changed);
      else tensors.delete(tensor);
    },
  });
}

async function withAdapterConfig(name: string, change: Record<string, unknown>): Promise<void> {
  await copyOf("adapter", name);
  const config = await Bun.file(world.at("adapter/adapter_config.json")).json();
  await Bun.write(world.at(name, "adapter_config.json"), JSON.stringify({ ...config, ...change }));
}

/** Cut a file to a share of its length. */
async function cut(path: string, share: number): Promise<void> {
  await truncate(path, Math.floor(Bun.file(path).size * share));
}

const v = "model.layers.1.self_attn.v_proj.weight";
const fill = (value: number) => (tensor: Tensor) => {
  const values = new Float32Array(tensor.shape[0] * tensor.shape[1]).fill(0.1);
  values[7] = value;
  return { ...tensor, bytes: encode(values, "F32") };
};

interface Fault {
  /** Makes the fault under a name of its own. */
  readonly make: (name: string) => Promise<unknown>;
  readonly args: (name: string) => readonly string[];
  readonly says: RegExp;
}

const models: Readonly<Record<string, Fault>> = {
  "no such folder": {
    make: async () => {},
    args: apply,
    says: /there is no such file or folder; write a model folder/,
  },
  "a Hub id that is not in the cache, offline": {
    make: async () => {},
    args: () => apply("nobody/nothing"),
    says: /nobody\/nothing.*(offline|cache)/,
  },
  "an empty folder": { make: (name) => mkdir(world.at(name)), args: prepare, says: /is not a model/ },
  "a pickle": {
    make: async (name) => {
      await withFile(name, "pytorch_model.bin", "x");
      await rm(world.at(name, "model.safetensors"));
    },
    args: apply,
    says: /pytorch_model\.bin: is a Python pickle.*safe_serialization/,
  },
  "config.json that is no JSON": {
    make: (name) => withFile(name, "config.json", "{"),
    args: apply,
    says: /config\.json/,
  },
  "an unknown family": {
    make: (name) => withConfig(name, { model_type: "mamba" }),
    args: prepare,
    says: /models-\d+ cannot be used:\n.*mamba/,
  },
  "a config that lacks a size": {
    make: (name) => withConfig(name, { hidden_size: undefined }),
    args: prepare,
    says: /models-\d+ cannot be used:\n.*hidden_size/,
  },
  "a quantised model": {
    make: (name) => withConfig(name, { quantization_config: { quant_method: "awq" } }),
    args: apply,
    says: /quantised.*awq.*use its full-precision original/,
  },
  "a truncated weight file": {
    make: async (name) => {
      await copyOf("tuned", name);
      await cut(world.at(name, "model.safetensors"), 0.7);
    },
    args: apply,
    says: /model\.safetensors: .*(truncated|ends|shorter|bytes)/,
  },
  "a truncated header": {
    make: async (name) => {
      await copyOf("tuned", name);
      await cut(world.at(name, "model.safetensors"), 0.001);
    },
    args: prepare,
    says: /model\.safetensors: /,
  },
  "a truncated shard": {
    make: async (name) => {
      await copyOf("sharded", name);
      const { weight_map } = await Bun.file(world.at(name, "model.safetensors.index.json")).json();
      await cut(world.at(name, weight_map[v]), 0.7);
    },
    args: apply,
    says: /model-0\d+-of-0\d+\.safetensors: /,
  },
  "a shard that is gone": {
    make: async (name) => {
      await copyOf("sharded", name);
      const { weight_map } = await Bun.file(world.at(name, "model.safetensors.index.json")).json();
      await rm(world.at(name, weight_map[v]));
    },
    args: apply,
    says: /model-0\d+-of-0\d+\.safetensors/,
  },
  "an index that points outside the folder": {
    make: async (name) => {
      await copyOf("sharded", name);
      const path = world.at(name, "model.safetensors.index.json");
      const index = await Bun.file(path).json();
      index.weight_map[v] = "../tuned/model.safetensors";
      await Bun.write(path, JSON.stringify(index));
    },
    args: apply,
    says: /"\.\.\/tuned\/model\.safetensors", which may lie outside the folder/,
  },
  "a weight file that is a link outside the folder": {
    make: async (name) => {
      await copyOf("tuned", name);
      await rm(world.at(name, "model.safetensors"));
      await symlink(world.at("tuned/model.safetensors"), world.at(name, "model.safetensors"));
    },
    args: apply,
    says: /outside its folder; put the file itself there/,
  },
  "a missing tensor": {
    make: (name) => withTensor(name, v, () => undefined),
    args: apply,
    says: /layers\.1\.self_attn\.v_proj\.weight/,
  },
  "a tensor of another shape": {
    make: (name) => withTensor(name, v, (tensor) => ({ ...tensor, shape: [tensor.shape[1], tensor.shape[0]] })),
    args: prepare,
    says: /v_proj\.weight.*\[?24/,
  },
  "another size of model": {
    make: (name) => writePico(world.at(name), { seed: 1, config: { intermediate_size: 48 } }),
    args: apply,
    says: /was not fine-tuned from aligned:\n.*intermediateSize is 40 .* and 48/,
  },
  "another vocabulary": {
    make: async (name) => {
      const text = await Bun.file(world.at("tuned/tokenizer.json")).text();
      await withFile(name, "tokenizer.json", text.replace('"zoe"', '"zoo"'));
    },
    args: apply,
    says: /The vocabularies differ/,
  },
  "NaN in a weight, apply": {
    make: (name) => withTensor(name, v, fill(Number.NaN)),
    args: apply,
    says: /v_proj\.weight.*NaN or infinity at element 7/,
  },
  "Inf in a weight, prepare": {
    make: (name) => withTensor(name, v, fill(Number.POSITIVE_INFINITY)),
    args: prepare,
    says: /v_proj\.weight.*NaN or infinity at element 7/,
  },
  "activations that overflow": {
    make: (name) => withTensor(name, "model.layers.0.mlp.up_proj.weight", (tensor) => fill(3e38)(fill(3e38)(tensor))),
    args: prepare,
    says: /models-\d+, layer 0 \w+: The Hessian holds NaN or Inf/,
  },
  "no tokenizer": {
    make: async (name) => {
      await copyOf("aligned", name);
      await rm(world.at(name, "tokenizer.json"));
    },
    args: prepare,
    says: /has no tokenizer\.json\. Save it once/,
  },
  "a damaged tokenizer": {
    make: (name) => withFile(name, "tokenizer.json", "{}"),
    args: prepare,
    says: /tokenizer\.json/,
  },
  "an adapter for another base": {
    make: async (name) => {
      await writePico(world.at(`${name}-base`), { seed: 1, config: { intermediate_size: 48 } });
      await writeAdapter(world.at(name), world.at(`${name}-base`));
    },
    args: apply,
    says: /the adapter is for another base than aligned/,
  },
  "an adapter where a model is needed": {
    make: (name) => copyOf("adapter", name),
    args: prepare,
    says: /is an adapter without its base; write BASE\+/,
  },
  "an adapter that has no exact merge": {
    make: (name) => withAdapterConfig(name, { init_lora_weights: "pissa" }),
    args: apply,
    says: /initialised by "pissa"/,
  },
  "a broken GGUF file": {
    make: (name) => Bun.write(world.at(`${name}.gguf`), "GGUF"),
    args: (name) => prepare(`${name}.gguf`),
    says: /\.gguf: /,
  },
  "a safetensors file that is none": {
    make: (name) => Bun.write(world.at(`${name}.safetensors`), "not tensors"),
    args: (name) => ["inspect", `${name}.safetensors`],
    says: /\.safetensors: /,
  },
};

/** Apply with a state of a name. */
const withState = (name: string) => ["apply", ...pair, "--state", name];

const states: Readonly<Record<string, Fault>> = {
  "a state that is not there": {
    make: async () => {},
    args: withState,
    says: /no such folder\. Make a state with: bun run safedelta prepare MODEL --safe-data FILE --out/,
  },
  "a folder that is no state": { make: (name) => mkdir(world.at(name)), args: withState, says: /not a state/ },
  "an unfinished state": {
    make: async (name) => {
      await Bun.write(world.at(name, "work/job.json"), '{"fingerprint": "other"}');
    },
    args: withState,
    says: /this state is not finished\. Run the same prepare command again/,
  },
  "a state of another config": {
    make: (name) => writePico(world.at(name), { seed: 1, config: { max_position_embeddings: 128 } }),
    args: (name) => ["apply", "--aligned", name, "--tuned", "tuned", ...state],
    says: /state: was prepared from another model \(.*aligned\) than/,
  },
  "a state of other weights": {
    make: (name) => writePico(world.at(name), { seed: 9 }),
    args: (name) => ["apply", "--aligned", name, "--tuned", "tuned", ...state],
    says: /state: was prepared from another model/,
  },
  "a state of other weights, for an adapter": {
    make: (name) => writePico(world.at(name), { seed: 9 }),
    args: (name) => ["apply", "--aligned", name, "--tuned", "adapter", "--out-format", "lora", ...state],
    says: /state: was prepared from another model/,
  },
  "a torn state.json": {
    make: async (name) => {
      await copyOf("state", name);
      await cut(world.at(name, "state.json"), 0.5);
    },
    args: withState,
    says: /state\.json: cannot be read as JSON/,
  },
  "a state.json that lacks its layers": {
    make: async (name) => {
      await copyOf("state", name);
      await Bun.write(world.at(name, "state.json"), JSON.stringify({ format: stateFormat, parts: {} }));
    },
    args: withState,
    says: /state\.json: is damaged.*Run prepare again/,
  },
  "a truncated factor": {
    make: async (name) => {
      await copyOf("state", name);
      await cut(world.at(name, "layers/001/o.safetensors"), 0.6);
    },
    args: withState,
    says: /layers\/001\/o\.safetensors: /,
  },
  "a factor that was changed": {
    make: async (name) => {
      await copyOf("state", name);
      await cp(world.at(name, "layers/000/o.safetensors"), world.at(name, "layers/001/o.safetensors"));
    },
    args: withState,
    says: /layers\/001\/o\.safetensors: \w+ was changed since prepare wrote it.*Run prepare again/,
  },
  "a state of NaN": {
    make: async (name) => {
      await copyOf("state", name);
      const n = 24;
      const bytes = new Uint8Array(new Float64Array(n).fill(Number.NaN).buffer);
      const tensors: Tensor[] = [{ name: "eigenvalues", dtype: "F64", shape: [n], bytes }];
      await writeSafetensors(world.at(name, "layers/000/qkv.safetensors"), tensors);
    },
    args: withState,
    says: /layers\/000\/qkv\.safetensors: /,
  },
};

const results: Readonly<Record<string, Fault>> = {
  "a folder that apply did not write": {
    make: async () => {},
    args: () => ["verify", "tuned"],
    says: /tuned: has neither safedelta\.json nor training\.json/,
  },
  "no folder at all": {
    make: async () => {},
    args: () => ["verify", "nowhere"],
    says: /nowhere: there is no such folder; name the folder that apply wrote/,
  },
  "a file": {
    make: async () => {},
    args: () => ["verify", "safe.jsonl"],
    says: /safe\.jsonl: is a file/,
  },
  "an unfinished output": {
    make: async (name) => {
      await Bun.write(world.at(name, ".safedelta-work/journal.jsonl"), "");
    },
    args: (name) => ["verify", name],
    says: /this repair is not finished\. Run the same apply command again; it goes on where it stopped/,
  },
  "an unfinished output, inspected": {
    make: async (name) => {
      await Bun.write(world.at(name, ".safedelta-work/journal.jsonl"), "");
    },
    args: (name) => ["inspect", name],
    says: /this repair is not finished\. Run the same apply command again/,
  },
  "an unfinished state, inspected": {
    make: async (name) => {
      await Bun.write(world.at(name, "work/job.json"), "{}");
    },
    args: (name) => ["inspect", name],
    says: /this state is not finished\. Run the same prepare command again; it goes on where it stopped/,
  },
  "a damaged safedelta.json": {
    make: async (name) => {
      await copyOf("repaired", name);
      await Bun.write(world.at(name, "safedelta.json"), "{}");
    },
    args: (name) => ["verify", name],
    says: /safedelta\.json: is damaged/,
  },
};

for (const [kind, faults] of Object.entries({ models, states, results })) {
  describe(`exit code 4: ${kind}`, () => {
    for (const [i, [what, { make, args, says }]] of Object.entries(faults).entries()) {
      test.concurrent(what, async () => {
        const [name, out] = [`${kind}-${i}`, `out-${kind}-${i}`];
        await make(name);
        const words = args(name);
        const writes = words[0] === "prepare" || words[0] === "apply";
        const { code, stdout, stderr } = await safedelta(world.path, writes ? [...words, "--out", out] : words);
        expect({ code, stdout, stderr }).toEqual({ code: 4, stdout: "", stderr: expect.stringMatching(says) });
        expect(stderr).toMatch(/^error: /m);
        expect(stderr).not.toMatch(/\n +at |defect/);
        for (const finished of ["config.json", "state.json", "adapter_config.json", "safedelta.json"])
          expect(await Bun.file(world.at(out, finished)).exists()).toBe(false);
      });
    }
  });
}
