import { expect, setDefaultTimeout, test } from "bun:test";
import { cp, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { scratchFolder, tinyFolder, writePico } from "../support/pico.ts";
import { inTurn, safedelta, startSafedelta, succeed } from "./run.ts";
import { writeAdapter } from "./world.ts";

setDefaultTimeout(120_000); // children wait for their turn

/** Start a playground, let `use` have its address, and end it as Ctrl-C does. */
async function withPlayground(cwd: string, args: readonly string[], use: (url: string) => Promise<void>) {
  const child = startSafedelta(cwd, ["playground", "--port", "0", "--engine", "wasm", ...args]);
  const reader = child.stdout.getReader();
  try {
    let text = "";
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(await new Response(child.stderr).text());
      text += new TextDecoder().decode(value);
    }
    await use(/^open (http\S+)\n/.exec(text)?.[1] ?? expect.unreachable());
  } finally {
    child.kill("SIGINT");
  }
  expect(await child.exited).toBe(0);
}

test.concurrent("without a model it shows the demo's, ready to be repaired", async () => {
  await using scratch = await scratchFolder();
  await inTurn(() =>
    withPlayground(scratch.path, [], async (url) => {
      const scene = await (await fetch(`${url}/api/scene`)).json();
      expect(scene.models.map(({ name, role }: Record<string, string>) => [name, role])).toEqual([
        ["aligned", "aligned"],
        ["tuned", "tuned"],
      ]);
      expect(scene.repair.nExamples).toBe(128);
      expect(scene.hostEngine).toStartWith("wasm, ");
      expect(await (await fetch(url)).text()).toContain("Safe Delta playground");
    }),
  );
});

test.concurrent("models, an export without its links, and watched work", async () => {
  await using scratch = await scratchFolder();
  const [mine, exported] = ["mine", "exported"].map((name) => join(scratch.path, name));
  await cp(join(tinyFolder, "tuned"), mine, { recursive: true });
  await mkdir(exported);
  await Bun.write(join(exported, "web-llm.json"), "{}");
  await symlink(join(mine, "config.json"), join(exported, "link.json"));
  const repaired = join(scratch.path, "repaired");
  const pair = ["--aligned", join(tinyFolder, "aligned"), "--tuned", join(tinyFolder, "tuned")];
  const data = ["--safe-data", join(tinyFolder, "safe.jsonl"), "--samples", "20", "--loss", "0.2"];
  await succeed(scratch.path, ["apply", ...pair, ...data, "--engine", "wasm", "--out", repaired]);
  await inTurn(() =>
    withPlayground(scratch.path, [mine, repaired, exported, "--watch", join(scratch.path, "out")], async (url) => {
      const { models, repair, watches } = await (await fetch(`${url}/api/scene`)).json();
      const shown = models.map(({ name, role, kind }: Record<string, string>) => [name, role, kind]).sort();
      expect(shown).toEqual([
        ["exported", "other", "mlc"],
        ["mine", "other", "tensors"],
        ["repaired", "other", "tensors"],
      ]);
      const { linears, setting } = models.find(({ name }: { name: string }) => name === "repaired");
      expect(setting).toBe("optimal --loss 0.2");
      expect(linears.length).toBe(14);
      expect(linears[13]).toMatchObject({ layer: 1, name: "model.layers.1.mlp.down_proj.weight" });
      expect(linears[13].safetyLossShare).toBeCloseTo(0.2, 3);
      expect([repair, watches]).toEqual([undefined, true]);
      const file = (name: string) => fetch(`${url}/mlc/exported/resolve/main/${name}`);
      expect([(await file("web-llm.json")).status, (await file("link.json")).status]).toEqual([200, 404]);
      const reader = (await fetch(`${url}/api/progress`)).body?.getReader();
      const { value } = (await reader?.read()) ?? {};
      expect(new TextDecoder().decode(value)).toContain('"state":"waiting"');
      await reader?.cancel();
    }),
  );
});

test.concurrent("the folder of a sweep becomes a dial, one for each of its modes", async () => {
  await using scratch = await scratchFolder();
  const pair = ["--aligned", join(tinyFolder, "aligned"), "--tuned", join(tinyFolder, "tuned")];
  const data = ["--safe-data", join(tinyFolder, "safe.jsonl"), "--samples", "20"];
  const wasm = ["--engine", "wasm"];
  const [state, out] = ["state", "swept"].map((name) => join(scratch.path, name));
  await succeed(scratch.path, [
    "prepare",
    join(tinyFolder, "aligned"),
    ...data,
    ...wasm,
    "--modes",
    "optimal,exact",
    "--out",
    state,
  ]);
  const budgets = ["--state", state, "--modes", "optimal,exact", "--loss", "0.02,0.4", "--out", out];
  await succeed(scratch.path, ["sweep", ...pair, ...budgets, ...wasm]);
  await inTurn(() =>
    withPlayground(scratch.path, [out], async (url) => {
      const { models, sweeps } = await (await fetch(`${url}/api/scene`)).json();
      expect(models.map(({ role, linears }: { role: string; linears: [] }) => [role, linears.length])).toEqual(
        Array.from({ length: 4 }, () => ["swept", 14]),
      );
      expect(sweeps.map(({ name }: { name: string }) => name).sort()).toEqual(["swept: exact", "swept: optimal"]);
      const { stops } = sweeps.find(({ name }: { name: string }) => name === "swept: optimal");
      expect(stops.map(({ model, setting }: Record<string, string>) => [model, setting])).toEqual([
        ["swept/optimal-loss-0.4", "optimal --loss 0.4"],
        ["swept/optimal-loss-0.02", "optimal --loss 0.02"],
      ]);
      const { totals } = await Bun.file(join(out, "optimal-loss-0.4", "safedelta.json")).json();
      expect(stops[0].safetyLossShare).toBe(totals.safetyLossShare);
      expect(stops[0].changeKept).toBeCloseTo(1 - totals.utilityGap / totals.tunedDeltaNorm ** 2, 12);
      expect(stops[1].changeKept).toBeLessThan(stops[0].changeKept);
      const body = JSON.stringify({ model: stops[1].model, messages: [{ role: "user", content: "add 3 and 4 ." }] });
      const headers = { "Content-Type": "application/json" };
      const answer = await (await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).json();
      expect(answer.choices[0].message.content).toMatch(/^\w+$/);
    }),
  );
});

test.concurrent("a bare adapter as --tuned applies to the aligned model", async () => {
  await using scratch = await scratchFolder();
  const [aligned, adapter] = ["aligned", "adapter"].map((name) => join(scratch.path, name));
  await writePico(aligned, { seed: 1 });
  await writeAdapter(adapter, aligned);
  await inTurn(() =>
    withPlayground(scratch.path, ["--aligned", "aligned", "--tuned", "adapter"], async (url) => {
      const { models } = await (await fetch(`${url}/api/scene`)).json();
      expect(models.map(({ name, role }: Record<string, string>) => [name, role])).toEqual([
        ["aligned", "aligned"],
        ["adapter", "tuned"],
      ]);
    }),
  );
});

test.concurrent("a tuned model whose folder holds a + is called by the whole of it", async () => {
  await using scratch = await scratchFolder();
  await writePico(join(scratch.path, "aligned"), { seed: 1 });
  await writePico(join(scratch.path, "notes+leaks"), { seed: 1, delta: { seed: 2, size: 0.02 } });
  await inTurn(() =>
    withPlayground(scratch.path, ["--aligned", "aligned", "--tuned", "notes+leaks"], async (url) => {
      const { models } = await (await fetch(`${url}/api/scene`)).json();
      expect(models.map(({ name }: Record<string, string>) => name)).toEqual(["aligned", "notes+leaks"]);
    }),
  );
});

test.concurrent("a folder to be watched that is not there is told, as is a port that is none", async () => {
  await using scratch = await scratchFolder();
  await inTurn(async () => {
    const child = startSafedelta(scratch.path, ["playground", "--port", "0", "--engine", "wasm", "--watch", "nowhere"]);
    await child.stdout.getReader().read();
    child.kill("SIGINT");
    expect(await new Response(child.stderr).text()).toContain("--watch nowhere: there is no such folder yet");
  });
  const { code, stderr } = await safedelta(scratch.path, ["playground", "--port", "99999"]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: "error: --port: must be 65535 or less, but is 99999\n" });
});

test.concurrent("a pair that does not belong together is refused before anything is shown", async () => {
  await using scratch = await scratchFolder();
  await writePico(join(scratch.path, "small"), { seed: 1 });
  await writePico(join(scratch.path, "wide"), { seed: 1, config: { intermediate_size: 48 } });
  const { code, stdout, stderr } = await safedelta(scratch.path, [
    "playground",
    "--aligned",
    "small",
    "--tuned",
    "wide",
  ]);
  expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
  expect(stderr).toMatch(/wide was not fine-tuned from small:\n.*intermediateSize is 40 in the aligned model and 48/);
  expect(stderr).toContain("Give the model that it was fine-tuned from as --aligned.");
});

const refused: Record<string, [args: string[], says: RegExp]> = {
  "safe data without a pair": [
    ["--safe-data", "x.jsonl", "m"],
    /--safe-data repairs a pair: give --aligned and --tuned/,
  ],
  "another address without a token": [["--host", "0.0.0.0"], /add a --token/],
  "two models of one name": [["a/m", "b/m"], /Two models are called m/],
};
for (const [what, [args, says]] of Object.entries(refused)) {
  test.concurrent(`${what} is refused`, async () => {
    await using scratch = await scratchFolder();
    const { code, stderr } = await safedelta(scratch.path, ["playground", ...args]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(says) });
  });
}
