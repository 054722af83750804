import { describe, expect, test } from "bun:test";
import { modelCard, type RepairReport, type ReportBudget, type RivalReport } from "@safedelta/report";
import fc from "fast-check";
import { parse } from "yaml";
import { sampleReport } from "./sampleReport.ts";

/** The YAML between the first two lines of three dashes. */
function headerOf(card: string): string {
  const lines = card.split("\n");
  expect(lines[0]).toBe("---");
  return lines.slice(1, lines.indexOf("---", 1)).join("\n");
}

/** The cells of the layer table's rows. */
function layerRows(card: string): string[][] {
  const lines = card.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.slice(2, -2).split(" | "));
}

/** Any code points; fast-check's own unit "binary" takes seconds to set up. */
const codePoint = fc.oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }));
const anyText = fc.array(codePoint, { maxLength: 10 }).map((points) => String.fromCodePoint(...points));

describe("front matter", () => {
  test("says what the Hub wants to know", () => {
    expect(parse(headerOf(modelCard(sampleReport(1))))).toEqual({
      base_model: "org/chat",
      base_model_relation: "finetune",
      library_name: "transformers",
      pipeline_tag: "text-generation",
      tags: ["safe-delta", "safety"],
      license: "apache-2.0",
    });
    expect(parse(headerOf(modelCard(sampleReport(1, { licence: undefined }))))).not.toHaveProperty("license");
  });

  test("names as base models those that the Hub can link, and no local one", () => {
    const local = { spec: "./x", name: "x", hash: "a1" };
    const hub = { spec: "org/tuned@v1", name: "org/tuned", hash: "a1" };
    const header = (change: Partial<RepairReport>) => parse(headerOf(modelCard(sampleReport(1, change))));
    expect(header({ tuned: hub })).toMatchObject({
      base_model: ["org/tuned", "org/chat"],
      base_model_relation: "merge",
    });
    expect(header({ tuned: hub, aligned: local })).toMatchObject({
      base_model: "org/tuned",
      base_model_relation: "finetune",
    });
    for (const outFormat of ["model", "lora"] as const) {
      const found = header({ aligned: local, tuned: outFormat === "lora" ? hub : local, outFormat });
      expect(Object.keys(found)).not.toContain("base_model");
      expect(Object.keys(found)).not.toContain("base_model_relation");
    }
  });

  test("an adapter is an adapter of the aligned model", () => {
    expect(parse(headerOf(modelCard(sampleReport(1, { outFormat: "lora" }))))).toMatchObject({
      base_model: "org/chat",
      base_model_relation: "adapter",
      library_name: "peft",
    });
  });

  test("any licence survives as a string, in YAML 1.1 and 1.2 and in Bun's own parser", () => {
    const awkward = fc.constantFrom(
      "no",
      "null",
      "1e3",
      "~",
      "a: b",
      "- x",
      "# y",
      "---\nz: 1",
      '"',
      "\\",
      "\u0085",
      "\u2028",
      "\u007f",
      "\ufeff",
    );
    const name = fc.oneof(awkward, fc.string({ unit: "grapheme" }), anyText);
    fc.assert(
      fc.property(name, (licence) => {
        const header = headerOf(modelCard(sampleReport(1, { licence })));
        for (const line of header.split("\n")) expect(line).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]/u);
        for (const read of [(t: string) => parse(t, { version: "1.1" }), (t: string) => parse(t), Bun.YAML.parse]) {
          expect(read(header)).toMatchObject({ base_model: "org/chat", license: licence });
        }
      }),
      { seed: 6 },
    );
  });
});

describe("model card", () => {
  test("a row for each layer and their sum", () => {
    const rows = layerRows(modelCard(sampleReport(2)));
    // Norms √(9 + 16) of √(25 + 144); losses 0.06 of 3.
    const numbers = ["0.0 %", "100.0 %", "2.00 %", "5", "38.5 %"];
    expect(rows).toEqual([
      ["0", ...numbers],
      ["1", ...numbers],
      ["all", "0.0 %", "100.0 %", "2.00 %", "7.07", "38.5 %"],
    ]);
  });

  test("40 layers are listed, more are shown in bands that leave none out", () => {
    expect(layerRows(modelCard(sampleReport(40)))).toHaveLength(41);
    const names = layerRows(modelCard(sampleReport(81))).map(([name]) => name);
    expect(names.slice(0, 2)).toEqual(["0–2", "3–5"]);
    expect(names.slice(-2)).toEqual(["78–80", "all"]);
    expect(names).toHaveLength(28);
    expect(layerRows(modelCard(sampleReport(41))).at(-2)?.[0]).toBe("40");
  });

  test("recipe, hashes, engine and origin of the other tensors", () => {
    const card = modelCard(sampleReport(1));
    const report = sampleReport(1);
    for (const text of ["`a1`", "`b2`", "`c3`", "`d4`", "26,600 tokens", "wasm 0.1.0", report.command, "2505.12038"]) {
      expect(card).toContain(text);
    }
    expect(card).toContain("Budget `--loss 0.03`");
    expect(card).toContain("unchanged from the aligned model");
    expect(modelCard(sampleReport(1, { rest: "tuned" }))).toContain("unchanged from the fine-tuned model");
  });

  test("claims no behaviour unless it was evaluated", () => {
    expect(modelCard(sampleReport(1))).toContain("Not measured: behaviour.");
    const row = { task: "guarded", metric: "refusal", model: "repaired", rate: 0.975, low: 0.93, high: 0.991, n: 200 };
    const card = modelCard(sampleReport(1, { evaluation: [row] }));
    expect(card).not.toContain("Not measured: behaviour.");
    expect(card).toContain("| guarded | refusal | repaired | 97.5 % \\[93.0, 99.1\\] | 200 |");
  });

  test("names cannot break out of their place", () => {
    const name = "a`b``c\n# not a heading <b>";
    const evaluation = [{ task: "a|b\n<i>", metric: "m", model: "x", rate: 0, low: 0, high: 0, n: 1 }];
    const command = "echo '```'\n# more";
    const card = modelCard(sampleReport(1, { tuned: { spec: name, name, hash: "h" }, evaluation, command }));
    expect(card).toContain("# Safe Delta repair of ``` a`b``c # not a heading <b> ```\n");
    expect(card).toContain("| a\\|b \\<i\\> | m |");
    expect(card).toContain("````sh\necho '```'\n# more\n````");
  });

  test("a rival is called by its name, with its dials, its third model and its paper", () => {
    const rivals: readonly (readonly [RivalReport, RegExp, RegExp])[] = [
      [{ method: "safe-lora", threshold: 0.5 }, /Safe LoRA, with `threshold 0\.5`/, /2405\.16833/],
      [
        { method: "resta", gamma: 1, drop: 0.3, seed: 4 },
        /RESTA, with `gamma 1`, `drop 0\.3`, `seed 4`/,
        /2402\.11746/,
      ],
      [{ method: "wise-ft", alpha: 0.5 }, /WiSE-FT, with `alpha 0\.5`/, /2109\.01903/],
      [{ method: "negation", weight: 1 }, /Task-arithmetic negation, with `weight 1`/, /2212\.04089/],
      [{ method: "random-mask", keep: 0.5 }, /Random mask, with `keep 0\.5`/, /baseline that knows nothing of safety/],
      [{ method: "dare", drop: 0.5 }, /DARE, with `drop 0\.5`/, /2311\.03099/],
    ];
    for (const [rival, words, paper] of rivals) {
      const third = { spec: "org/base", name: "org/base", hash: "e9" };
      const card = modelCard(sampleReport(1, { rival, third, mode: undefined, budget: undefined }));
      expect(card).toMatch(words);
      expect(card).toMatch(paper);
      expect(card).toContain(`- ${rival.method === "negation" ? "harmful" : "unaligned"} model: \`org/base\`, \`e9\``);
      expect(headerOf(card)).toContain(rival.method);
      expect(card).toMatch(/^\| all +\| +0(\.0)? % \| +2(\.0+)? % \| +5(\.0+)? +\|/m);
      expect(card).not.toMatch(/budget|compensation|undefined|Safe Delta repair of|lu2025safe/);
    }
  });

  test("a report of neither a repair nor a rival is refused", () => {
    expect(() => modelCard(sampleReport(1, { mode: undefined }))).toThrow(/neither a mode with its budget nor a rival/);
  });

  test("every mode and budget is explained, and nothing is left blank", () => {
    const modes: RepairReport["mode"][] = ["optimal", "exact", "reference", "paper", "none"];
    const kinds: ReportBudget["kind"][] = ["loss", "global-loss", "strength", "keep", "scale"];
    for (const mode of modes) {
      for (const kind of kinds) {
        const card = modelCard(sampleReport(1, { mode, budget: { kind, value: 0.5 } }));
        expect(card).toContain(`Mode \`${mode}\`: `);
        expect(card).toContain(`Budget \`--${kind} 0.5\`: `);
        expect(card).not.toMatch(/undefined|NaN|\[object/);
      }
    }
  });

  test("task data and a missing state are said", () => {
    const taskData = { source: "task.jsonl", hash: "t6", nExamples: 64, nTokens: 900, seed: 3 };
    const card = modelCard(sampleReport(1, { taskData, state: undefined }));
    expect(card).toContain("- task data: `task.jsonl`, `t6`; 64 examples, 900 tokens, seed 3");
    expect(card).not.toContain("prepared state");
  });
});
