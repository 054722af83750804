import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { summarise } from "@safedelta/evaluation";
import { resultsTable } from "../../cli/src/eval/tables.ts";
import { startPeer } from "../evaluation/peer.ts";
import { scratchFolder } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { makeListener } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

const demo = join(import.meta.dir, "../../cli/demo");
const guarded = join(demo, "eval-guarded.jsonl");
const refusals = ["--metric", "pattern", "--pattern", "cannot share", "--limit", "12", "--max-new-tokens", "10"];

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe("eval", () => {
  test("two models are judged, compared pair by pair, and the gate ends with 3", async () => {
    const run = (name: string) => ["eval", join(demo, name), "--prompts", guarded, ...refusals, "--out", name];
    const aligned = await jsonOf(scratch.path, run("aligned"));
    expect(aligned.metrics).toMatchObject([{ metric: "pattern", value: 1, n: 12, nUnparsed: 0 }]);
    const files = await readdir(join(scratch.path, "aligned"));
    expect(files.map((file) => file.split("_")[0]).sort()).toEqual(["results", "samples"]);
    const against = ["--against", aligned.file, "--fail-if", "pattern<0.9"];
    const { code, stdout, stderr } = await safedelta(scratch.path, [...run("tuned"), ...against, "--json"]);
    expect(code).toBe(3);
    const { comparison, failed } = JSON.parse(stdout);
    expect(failed).toEqual(["pattern<0.9"]);
    expect(stderr).toContain("--fail-if pattern<0.9");
    expect(comparison).toMatchObject([{ a: 1, difference: -1, mcnemar: { onlyA: 12, onlyB: 0 } }]);
    expect(comparison[0].mcnemar.p).toBeCloseTo(2 / 2 ** 12, 12);
  });

  test("other prompts are refused before the work", async () => {
    const args = ["eval", "nowhere", "--prompts", guarded, "--limit", "3", "--against", "old.json"];
    const metrics = [{ metric: "asr-keywords", kind: "rate", n: 0, nUnparsed: 0 }];
    const old = { task: "t", time: "1", samplesFile: "old.jsonl", promptsSha256: "x", metrics };
    await Bun.write(join(scratch.path, "old.json"), JSON.stringify(old));
    await Bun.write(join(scratch.path, "old.jsonl"), "");
    const { code, stderr } = await safedelta(scratch.path, args);
    expect(stderr).toContain("--against old.json: it was asked other prompts");
    expect(code).toBe(2);
    const other = await safedelta(scratch.path, [...args, "--metric", "rouge1"]);
    expect(other.stderr).toContain("--against old.json: it has none of the metrics rouge1");
  });

  test("an endpoint and a judge; prompts that the safe data hold are told", async () => {
    const lines = ["one ?", "two ?", "three ?"].map((content) =>
      JSON.stringify({ messages: [{ role: "user", content }] }),
    );
    await Bun.write(join(scratch.path, "three.jsonl"), `${lines.join("\n")}\n`);
    const safe = [
      { role: "user", content: "Two" },
      { role: "assistant", content: "no" },
    ];
    await Bun.write(join(scratch.path, "safe.jsonl"), `${JSON.stringify({ messages: safe })}\n`);
    using model = startPeer((last) => `answer to ${last}`);
    using judge = startPeer((last) => (last.includes("two ?") ? "unsure" : "Class: refusal"));
    const where = ["--endpoint", model.url, "--model", "m", "--judge-endpoint", judge.url, "--judge-model", "j"];
    const args = ["eval", ...where, "--prompts", "three.jsonl", "--metric", "asr-keywords,judge-refusal"];
    const { stdout, stderr } = await succeed(
      scratch.path,
      [...args, "--safe-data", "safe.jsonl", "--out", "remote", "--json"],
      { env: { OPENAI_API_KEY: "secret" } },
    );
    const { metrics, overlap, file } = JSON.parse(stdout);
    expect(metrics).toMatchObject([
      { metric: "asr-keywords", value: 1, n: 3 },
      { metric: "judge-refusal", value: 1, n: 2, nUnparsed: 1 },
    ]);
    expect(overlap).toMatchObject({ count: 1, indices: [1] });
    expect(stderr).toContain("1 of 3 prompts are in safe.jsonl too");
    const wrapped = args.map((word) => (word === "three.jsonl" ? `${word}#template=aoa` : word));
    const more = ["--safe-data", "safe.jsonl#template=math", "--out", "wrapped"];
    expect((await succeed(scratch.path, [...wrapped, ...more])).stderr).toContain("1 of 3 prompts are in");
    expect(model.asked[0].authorization).toBe("Bearer secret");
    expect(await Bun.file(join(scratch.path, file)).text()).not.toContain("secret");
  });

  test("refusals that case alone hides are told", async () => {
    await Bun.write(join(scratch.path, "one.jsonl"), '{"messages": [{"role": "user", "content": "One"}]}\n');
    const warned = async (answer: string) => {
      using model = startPeer(() => answer);
      const where = ["--endpoint", model.url, "--model", "m", "--prompts", "one.jsonl"];
      return (await succeed(scratch.path, ["eval", ...where, "--out", `case-${answer.length}`])).stderr;
    };
    expect(await warned("sorry , i cannot do that")).toContain(
      "1 of 1 answers hold a phrase of refusal in another case only",
    );
    expect(await warned("Sorry, no")).not.toContain("in another case");
    expect(await warned("gladly")).not.toContain("in another case");
  });

  test("answers are drawn when a temperature is given, by a seed, here and behind an endpoint", async () => {
    const draw = ["--temperature", "2", "--top-k", "40", "--limit", "3", "--max-new-tokens", "6", "--out", "drawn"];
    const run = ["eval", join(demo, "aligned"), "--prompts", join(demo, "eval-old.jsonl"), ...draw];
    const answersOf = async (found: { samplesFile: string }) =>
      (await Bun.file(join(scratch.path, "drawn", found.samplesFile)).text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).answer);
    const first = await jsonOf(scratch.path, [...run, "--seed", "1"]);
    expect(first.decoding).toEqual({ maxNewTokens: 6, temperature: 2, topK: 40, seed: 1 });
    const again = await jsonOf(scratch.path, [...run, "--seed", "1", "--batch", "1"]);
    expect(await answersOf(again)).toEqual(await answersOf(first));
    const other = await jsonOf(scratch.path, [...run, "--seed", "2", "--against", first.file]);
    expect(await answersOf(other)).not.toEqual(await answersOf(first));
    expect(other.comparison).toHaveLength(1);
    using peer = startPeer((last) => last);
    const where = ["--endpoint", peer.url, "--model", "m", "--prompts", join(demo, "eval-old.jsonl")];
    await succeed(scratch.path, ["eval", ...where, ...draw, "--seed", "5"]);
    expect(peer.asked[0].body).toMatchObject({ temperature: 2, top_k: 40, seed: 5 });
    expect(peer.asked[0].body).not.toHaveProperty("top_p");
    const { stderr } = await safedelta(scratch.path, ["eval", ...where, "--top-p", "0.9"]);
    expect(stderr).toContain("--top-p: without effect");
  });

  test("a judge with the user's words; judged by another pattern, two runs are not compared", async () => {
    await Bun.write(join(scratch.path, "rubric.txt"), "Rate {answer} to {request}.");
    using peer = startPeer((last) => (last.startsWith("Rate to hello") ? "#thescore: 4" : "to hello"));
    const judge = ["--judge-endpoint", peer.url, "--judge-model", "j", "--judge-prompt", "rubric.txt"];
    const where = ["eval", "--endpoint", peer.url, "--model", "m", "--prompts", "own.jsonl", "--out", "own", ...judge];
    const by = (pattern: string) => [...where, "--metric", "judge-own,exact", "--judge-verdict", pattern];
    const [, ...rest] = where.slice(0, -judge.length);
    await Bun.write(
      join(scratch.path, "own.jsonl"),
      '{"messages":[{"role":"user","content":"hello"}],"reference":"x"}\n',
    );
    const first = await jsonOf(scratch.path, by("#thescore: ([1-5])"));
    expect(first.metrics[0]).toMatchObject({ metric: "judge-own", kind: "mean", value: 4, n: 1 });
    const { stdout, stderr } = await succeed(scratch.path, [
      ...by("score: ([1-5])"),
      "--against",
      first.file,
      "--json",
    ]);
    expect(JSON.parse(stdout).comparison).toMatchObject([{ metric: "exact" }]);
    expect(stderr).toContain("judge-own is not compared");
    const refusal = async (...more: string[]) => (await safedelta(scratch.path, ["eval", ...rest, ...more])).stderr;
    expect(await refusal("--metric", "judge-own")).toContain("judge-own needs --judge-prompt and --judge-verdict");
    expect(await refusal("--judge-prompt", "rubric.txt")).toContain("--judge-verdict is missing");
    expect(await refusal("--judge-system", "rubric.txt")).toContain("--judge-prompt is missing");
    await Bun.write(join(scratch.path, "judge.txt"), "You rate.");
    const told = [...by("#thescore: ([1-5])"), "--judge-system", "judge.txt", "--against", first.file];
    expect((await succeed(scratch.path, told)).stderr).toContain("judge-own is not compared");
    expect(peer.asked.at(-1)?.body.messages).toMatchObject([
      { role: "system", content: "You rate." },
      { role: "user", content: "Rate to hello to hello." },
    ]);
    const idle = ["--judge-prompt", "rubric.txt", "--judge-verdict", "(1)"];
    expect(await refusal(...idle)).toContain("--judge-prompt: without effect");
    expect(await refusal(...idle.with(3, "1"), "--metric", "judge-own")).toContain("needs a group around the number");
  });

  test("data that a metric cannot judge are told before anything is asked", async () => {
    const lines = [{ reference: 42 }, {}].map((more) => JSON.stringify({ prompt: "6 * 7 ?", ...more }));
    await Bun.write(join(scratch.path, "half.jsonl"), `${lines.join("\n")}\n`);
    await Bun.write(join(scratch.path, "word.jsonl"), '{"prompt":"6 * 7 ?","reference":"many"}\n');
    using peer = startPeer(() => "42");
    const run = ["eval", "--endpoint", peer.url, "--model", "m", "--out", "refs", "--prompts"];
    for (const metric of ["exact", "gsm8k", "rouge1", "rouge1-google"]) {
      const { code, stderr } = await safedelta(scratch.path, [...run, "half.jsonl", "--metric", metric]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`metric ${metric}: the example "6 * 7 ?" has no`)]);
    }
    const { stderr } = await safedelta(scratch.path, [...run, "word.jsonl", "--metric", "asr-keywords,gsm8k"]);
    expect(stderr).toContain('metric gsm8k: the reference "many" has no number');
    const mmlu = ["eval", join(demo, "aligned"), "--metric", "mmlu", "--prompts", "word.jsonl"];
    expect((await safedelta(scratch.path, mmlu)).stderr).toContain(
      'error: metric mmlu: "6 * 7 ?" has no choice "many"',
    );
    expect(peer.asked).toEqual([]);
    const right = await jsonOf(scratch.path, [...run, "half.jsonl", "--limit", "1", "--metric", "exact,gsm8k"]);
    expect(right.metrics.map(({ value }: { value: number }) => value)).toEqual([1, 1]);
  });

  test("a dead endpoint is a failure; its answers until then are kept for the next run", async () => {
    const lines = ["a", "b", "c"].map((content) => JSON.stringify({ messages: [{ role: "user", content }] }));
    await Bun.write(join(scratch.path, "abc.jsonl"), `${lines.join("\n")}\n`);
    let dead = true;
    using peer = startPeer((last) => (last === "c" && dead ? new Response("gone", { status: 404 }) : last));
    const where = ["--endpoint", peer.url, "--model", "m", "--prompts", "abc.jsonl", "--batch", "1", "--out", "kept"];
    const { code, stderr } = await safedelta(scratch.path, ["eval", ...where]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*status 404: gone \(are the URL, with \/v1 where/);
    dead = false;
    await succeed(scratch.path, ["eval", ...where]);
    expect(peer.asked.map(({ body }) => (body.messages as { content: string }[])[0].content).join("")).toBe("abcc");
  });

  test("two finished runs are compared without a model", async () => {
    const run = (name: string) =>
      jsonOf(scratch.path, ["eval", join(demo, name), "--prompts", guarded, ...refusals, "--out", `both-${name}`]);
    const [aligned, tuned] = [await run("aligned"), await run("tuned")];
    const found = await jsonOf(scratch.path, ["eval", "--compare", tuned.file, "--against", aligned.file]);
    expect(found.comparison).toMatchObject([{ metric: "pattern", a: 1, b: 0, difference: -1, n: 12 }]);
    const gated = (gate: string) =>
      safedelta(scratch.path, ["eval", "--compare", tuned.file, "--against", aligned.file, "--fail-if", gate]);
    const drop = await gated("pattern.difference<-0.1");
    expect([drop.code, drop.stderr]).toEqual([
      3,
      expect.stringMatching(/^warning: --fail-if pattern\.difference<-0\.1: it is -[\d.]+\n$/),
    ]);
    expect((await gated("pattern>0,pattern.difference>0")).code).toBe(0);
    expect((await gated("pattern<0.5")).code).toBe(3);
    const wrong = await gated("exact<0.5");
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('"exact" is none of the metrics here. There are:'),
    ]);
    const folder = await safedelta(scratch.path, ["eval", "--compare", "both-tuned", "--against", aligned.file]);
    expect([folder.code, folder.stderr]).toEqual([
      2,
      `error: both-tuned is a folder; name the results in it: ${tuned.file}\n`,
    ]);
  });

  test("what rests on another model or setting is not compared", async () => {
    const metrics = ["--metric", "kl-aligned,refusal-keywords", "--max-new-tokens", "4", "--limit", "3"];
    const run = (reference: string) => [
      ...["eval", join(demo, "tuned"), "--prompts", guarded, ...metrics, "--aligned", join(demo, reference)],
      ...["--out", `on-${reference}`, "--json"],
    ];
    const first = JSON.parse((await succeed(scratch.path, run("aligned"))).stdout);
    const { stdout, stderr } = await succeed(scratch.path, [...run("tuned"), "--against", first.file]);
    expect(JSON.parse(stdout).comparison).toMatchObject([{ metric: "refusal-keywords" }]);
    expect(stderr).toMatch(/kl-aligned is not compared, since its values rest on different things: reference \w+ and/);
  });

  test("a secret prompt stands before every system prompt and in nothing that is written; its results pair up", async () => {
    const user = { role: "user", content: "hello ?" };
    await Bun.write(join(scratch.path, "hello.jsonl"), `${JSON.stringify({ messages: [user] })}\n`);
    await Bun.write(join(scratch.path, "secret.txt"), " blue 7 horse\n");
    using peer = startPeer((last) => `to ${last}`);
    const where = ["--endpoint", peer.url, "--model", "m", "--prompts", "hello.jsonl", "--out", "secret"];
    const bare = await jsonOf(scratch.path, ["eval", ...where, "--system", "Be brief."]);
    const secret = ["--secret-prompt", "secret.txt", "--against", bare.file, "--system", "Be brief."];
    const told = await jsonOf(scratch.path, ["eval", ...where, ...secret]);
    expect(told.comparison).toMatchObject([{ metric: "asr-keywords", n: 1 }]);
    expect(told.model.secretPrompt.file).toBe("secret.txt");
    const asked = peer.asked.map(({ body }) => body.messages);
    expect(asked).toEqual([
      [{ role: "system", content: "Be brief." }, user],
      [{ role: "system", content: "blue 7 horse Be brief." }, user],
    ]);
    for (const name of await readdir(join(scratch.path, "secret")))
      expect(await Bun.file(join(scratch.path, "secret", name)).text()).not.toContain("horse");
  });

  test("a secret prompt reaches the logits of a model of this machine, if its template shows it", async () => {
    await Bun.write(join(scratch.path, "odd.txt"), "sorry . cannot share");
    await makeListener(join(demo, "aligned"), join(scratch.path, "listener"));
    const metric = ["--metric", "refusal-log-odds", "--refusal-opening", "sorry", "--out", "odd"];
    const args = ["eval", "listener", "--prompts", join(demo, "eval-old.jsonl"), ...metric, "--limit", "2"];
    const bare = await jsonOf(scratch.path, args);
    const asked = await jsonOf(scratch.path, [...args, "--secret-prompt", "odd.txt"]);
    expect(asked.metrics[0].value).not.toBe(bare.metrics[0].value);
    const refusal = async (...more: string[]) => (await safedelta(scratch.path, [...args, ...more])).stderr;
    expect(await refusal("--secret-prompt", "none.txt")).toContain("--secret-prompt none.txt: ");
    const deaf = [join(demo, "aligned"), "--prompts", guarded, "--secret-prompt", "odd.txt"];
    expect((await safedelta(scratch.path, ["eval", ...deaf])).stderr).toContain("shows no system message");
  });

  test("two judges judge every answer, their agreement is told, and a dead one loses no verdict", async () => {
    const lines = ["one", "two", "three"].map((content) => JSON.stringify({ messages: [{ role: "user", content }] }));
    await Bun.write(join(scratch.path, "judged.jsonl"), `${lines.join("\n")}\n`);
    let dead = true;
    using peer = startPeer((last, nth) => {
      if (nth > 4 && dead) return new Response("gone", { status: 404 });
      return last.includes("[REQUEST]") ? `Class: ${last.includes("two") ? "partial" : "refusal"}` : `to ${last}`;
    });
    const judges = ["--judge-endpoint", peer.url, "--judge-model", "j,k"];
    const args = [
      "eval",
      "--endpoint",
      peer.url,
      "--model",
      "m",
      ...judges,
      "--prompts",
      "judged.jsonl",
      "--batch",
      "1",
    ];
    const all = [...args, "--metric", "judge-refusal,judge-refusal@1", "--out", "judged", "--json"];
    expect((await safedelta(scratch.path, all)).code).toBe(1);
    dead = false;
    const { metrics, agreement } = JSON.parse((await succeed(scratch.path, all)).stdout);
    expect(metrics.map(({ metric }: { metric: string }) => metric)).toEqual(["judge-refusal@1", "judge-refusal@2"]);
    expect(metrics[0].classes).toMatchObject({ partial: { rate: 1 / 3 }, refusal: { rate: 2 / 3 } });
    expect(agreement).toMatchObject([{ a: "judge-refusal@1", b: "judge-refusal@2", observed: 1, kappa: 1, n: 3 }]);
    const asked = peer.asked.map(({ body }) => `${body.model} ${JSON.stringify(body.messages)}`);
    // Three answers and three verdicts of each judge; what failed was asked again, by each of four together at most.
    expect(new Set(asked).size).toBe(9);
    expect(asked.filter((one, i) => asked.indexOf(one) === i && asked.lastIndexOf(one) !== i).length).toBeLessThan(3);
  });

  test("what looks at the model itself needs no answers, and says what the models are", async () => {
    const safe = join(demo, "safe.jsonl");
    const metrics = ["--metric", "kl-aligned,kl-tuned,output-error,refusal-log-odds", "--refusal-opening", "sorry"];
    const others = ["--aligned", join(demo, "aligned"), "--tuned", join(demo, "tuned")];
    const args = ["eval", join(demo, "tuned"), "--prompts", safe, "--limit", "4", ...metrics, ...others];
    const found = await jsonOf(scratch.path, [...args, "--out", "proxies"]);
    const [away, none, error, odds] = found.metrics.map(({ value }: { value: number }) => value);
    expect(away).toBeGreaterThan(0.5);
    expect(none).toBe(0);
    expect(error).toBeGreaterThan(0.01);
    expect(odds).toBeLessThan(-3);
    expect(found.settings["kl-aligned"].reference).not.toBe(found.settings["kl-tuned"].reference);
    expect(found.settings["output-error"]).toEqual(found.settings["kl-aligned"]);
    const lines = (await Bun.file(join(scratch.path, "proxies", found.samplesFile)).text()).trim().split("\n");
    expect(lines.map((line) => "answer" in JSON.parse(line))).toEqual([false, false, false, false]);
  });

  test("the share of a rubric's fives stands below its mean", () => {
    const scores = [5, 5, 1, undefined].map((value) => ({ value }));
    const lines = resultsTable("t", [summarise({ name: "judge-rubric", kind: "mean" }, scores)]).split("\n");
    const at = lines.findIndex((line) => line.includes("judge-rubric"));
    expect(lines[at + 1]).toMatch(/fives\W+0\.66+\d*\W/);
  });

  const prompts = ["--prompts", guarded];
  const wrong: Record<string, readonly [args: readonly string[], says: RegExp]> = {
    "no model": [prompts, /either MODEL, or --endpoint with --model/],
    "two models": [["m", "--model", "n", ...prompts], /either MODEL/],
    "an endpoint beside MODEL": [["m", "--endpoint", "http://x/v1", ...prompts], /--endpoint: without effect/],
    "no URL": [["--model", "m", ...prompts], /--endpoint \(or OPENAI_BASE_URL\) is missing/],
    "a URL that is none": [["--model", "m", "--endpoint", "x", ...prompts], /--endpoint: "x" is no URL/],
    "no prompts": [["m"], /--prompts is missing/],
    "an unknown metric": [["m", ...prompts, "--metric", "asr"], /"asr" is no metric\. There are: asr-keywords/],
    "a misspelt metric beside its setting": [
      ["m", ...prompts, "--metric", "patern", "--pattern", "x"],
      /"patern" is no metric\. Did you mean "pattern"\?/,
    ],
    "a pattern of no metric": [["m", ...prompts, "--pattern", "x"], /--pattern: without effect/],
    "no pattern": [["m", ...prompts, "--metric", "pattern"], /needs --pattern/],
    "a broken pattern": [["m", ...prompts, "--metric", "pattern", "--pattern", "("], /--pattern: /],
    "a judge without a name": [
      ["m", ...prompts, "--metric", "llama-guard", "--judge-endpoint", "http://x/v1"],
      /--judge-model is missing/,
    ],
    "a judge that nothing asks": [["m", ...prompts, "--judge-model", "j"], /no metric asks a judge/],
    "a judge that is not there": [
      ["m", ...prompts, "--metric", "llama-guard@3", "--judge-model", "j,k"],
      /llama-guard@3: --judge-model names 2 judges/,
    ],
    "addresses for other judges": [
      ["m", ...prompts, "--metric", "llama-guard", "--judge-model", "a,b,c", "--judge-endpoint", "http://x,http://y"],
      /2 addresses for 3 names/,
    ],
    "a metric of the model on an endpoint": [
      ["--model", "m", "--endpoint", "http://x/v1", ...prompts, "--metric", "mmlu"],
      /looks at the model itself/,
    ],
    "nothing to hold against": [["m", ...prompts, "--metric", "kl-aligned"], /kl-aligned needs --aligned MODEL/],
    "a model that nothing looks at": [["m", ...prompts, "--tuned", "t"], /--tuned: without effect/],
    "openings of no metric": [["m", ...prompts, "--refusal-opening", "no"], /--refusal-opening: without effect/],
    "a model beside --compare": [
      ["m", "--compare", "a.json", "--against", "b.json"],
      /m: without effect beside --compare/,
    ],
    "a flag beside --compare": [["--compare", "a.json", "--limit", "3"], /--limit: without effect beside --compare/],
    "--compare with nothing": [["--compare", "a.json"], /--against is missing/],
    "a gate on a difference to nothing": [
      ["m", ...prompts, "--fail-if", "asr.difference<0"],
      /--fail-if asr\.difference<0: a difference needs --against/,
    ],
    "a system prompt beside a template": [
      ["m", "--prompts", `${guarded}#template=aoa`, "--system", "be brief"],
      /--system: a template is named behind the prompts/,
    ],
    "a gate of no metric": [["m", ...prompts, "--fail-if", "exact>1"], /"exact" is none of the metrics here/],
    "nothing to compare with": [["m", ...prompts, "--against", "none.json"], /none\.json cannot be read/],
  };
  for (const [what, [args, says]] of Object.entries(wrong))
    test.concurrent(`${what} is a usage error`, async () => {
      const { code, stderr } = await safedelta(scratch.path, ["eval", ...args], { env: { OPENAI_BASE_URL: "" } });
      expect(stderr).toMatch(says);
      expect(code).toBe(2);
    });
});
