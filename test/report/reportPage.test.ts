import { describe, expect, test } from "bun:test";
import {
  experimentMarkdown,
  pageDataId,
  type ReportInput,
  type RivalReport,
  reportData,
  reportDataJson,
  reportPage,
  reportText,
} from "@safedelta/report";
import fc from "fast-check";
import { sampleEvaluation, sampleExperiment, samplePage } from "./samplePage.ts";
import { linear, sampleReport } from "./sampleReport.ts";

/** The elements of a page in their order, with the names of their attributes. */
async function elementsOf(page: string): Promise<string[]> {
  const found: string[] = [];
  const collect = {
    element: (e: HTMLRewriterTypes.Element) =>
      void found.push([e.tagName, ...[...e.attributes].map(([name]) => name)].join(" ")),
  };
  await new HTMLRewriter().on("*", collect).transform(new Response(page)).text();
  return found;
}

/** The text of elements that a selector finds, entities as they are. */
async function textsOf(page: string, selector: string): Promise<string[]> {
  const found: string[] = [];
  const handlers = {
    element: () => void found.push(""),
    text({ text }: { text: string }) {
      found[found.length - 1] += text;
    },
  };
  await new HTMLRewriter().on(selector, handlers).transform(new Response(page)).text();
  return found;
}

async function dataIn(page: string): Promise<unknown> {
  return JSON.parse((await textsOf(page, `#${pageDataId}`))[0]);
}

/** The same value with something after every string that is no word of ours, and after the keys that files bring. */
function withAfter(value: unknown, after: string): unknown {
  if (typeof value === "string") return words.has(value) ? value : value + after;
  if (Array.isArray(value)) return value.map((item) => withAfter(item, after));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, item]) => [fileKeys.has(key) ? key + after : key, withAfter(item, after)]),
  );
}

/** Strings that choose what is drawn, and so come from a list of ours. */
const words = new Set([
  "optimal",
  "reference",
  "loss",
  "scale",
  "exact",
  "rate",
  "model",
  "aligned",
  "tuned",
  "repaired",
  "safety",
  "utility",
  "higher",
  "eigenvalues",
]);
/** Names that files bring: of columns, files, options. */
const fileKeys = new Set(["refusal", "solved", "config.json", "lr"]);
const hostile = `</script></style><script>alert(1)</script>"'><img src=x onerror=alert(1)><!--\u202e\u001b[31m\0&lt;`;

describe("a page", () => {
  test("holds its data, and the same data make the same bytes", async () => {
    const data = reportData(samplePage());
    const page = reportPage(data);
    expect(await dataIn(page)).toEqual(JSON.parse(reportDataJson(data)));
    expect(reportPage(reportData(samplePage()))).toBe(page);
  });

  test("what JSON has no number for stands by its name", async () => {
    const layers = [{ layer: 0, linears: [linear({ strength: Number.POSITIVE_INFINITY })] }];
    const data = reportData(samplePage({ repairs: [sampleReport(1, { layers })] }));
    expect(await dataIn(reportPage(data))).toMatchObject({
      repairs: [{ layers: [{ linears: [{ strength: "Infinity" }] }] }],
    });
    expect(reportDataJson(data)).toContain('"strength": "Infinity"');
  });

  test("stands by itself: no scripts, nothing loaded, no inline styles, and a policy that allows its style sheet alone", async () => {
    const page = reportPage(reportData(samplePage({ showHarmful: true })));
    const elements = await elementsOf(page);
    expect(elements.filter((element) => element.startsWith("script"))).toEqual(["script type id"]);
    expect(
      elements.filter((element) =>
        /^(link|img|iframe|object|embed|base|form)\b| (src|style|srcset|on\w+)\b/.test(element),
      ),
    ).toEqual([]);
    expect(page).not.toMatch(/url\(|@import|https?:\/\/(?!vega\.github\.io\/schema)/);
    const [sheet] = await textsOf(page, "style");
    const hash = new Bun.CryptoHasher("sha256").update(sheet).digest("base64");
    expect(page).toContain(
      `content="default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"`,
    );
  });

  test("whatever files hold stays text: the elements are the same", async () => {
    const plain = await elementsOf(reportPage(reportData(samplePage())));
    const input = withAfter(samplePage(), hostile) as ReportInput;
    const page = reportPage(reportData(input));
    expect(await elementsOf(page)).toEqual(plain);
    expect(["\0", "\u001b", "\u202e"].filter((character) => page.includes(character))).toEqual([]);
    const { repairs } = (await dataIn(page)) as ReturnType<typeof reportData>;
    expect(repairs[0].command).toBe(input.repairs[0].command);
  });

  test("any text at all is told as it is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
        const data = reportData(samplePage({ repairs: [sampleReport(1, { command: `run ${text}` })] }));
        expect(await dataIn(reportPage(data))).toMatchObject({ repairs: [{ command: `run ${text}` }] });
      }),
      { seed: 7, numRuns: 30 },
    );
  });

  test("every table has a caption and heads, every plot words, every section a heading, every region that scrolls the keyboard", async () => {
    const page = reportPage(reportData(samplePage()));
    const elements = await elementsOf(page);
    const count = (start: string) => elements.filter((element) => element.split(" ")[0] === start).length;
    expect(count("caption")).toBe(count("table"));
    expect(count("h2")).toBe(count("section"));
    expect(count("h1")).toBe(1);
    expect(elements.filter((element) => element.startsWith("svg") && !/ aria-(label|hidden)/.test(element))).toEqual(
      [],
    );
    expect(elements.filter((element) => /^div class tabindex/.test(element))).not.toEqual([]);
    expect(
      elements.filter(
        (element) => element.startsWith("div class tabindex") && element !== "div class tabindex role aria-label",
      ),
    ).toEqual([]);
    expect(
      elements.filter(
        (element) => element.startsWith("th") && element !== "th scope" && !/^(thead|th scope)/.test(element),
      ),
    ).toEqual([]);
  });

  test("tells what is not there, and how to get it", () => {
    const page = reportPage(reportData({ toolVersion: "0.1.0", repairs: [sampleReport(1)] }));
    expect(page).toContain("No answers were measured for this page");
    expect(page).toContain("What other budgets would give is not at hand");
    expect(page).toContain("which this page was made without");
    expect(page).toContain("what apply writes is the same, byte for byte");
  });

  test("of a rival, of a training, of evaluations and of an experiment alone", () => {
    const rival = { method: "wise-ft", alpha: 0.5 } as const satisfies RivalReport;
    const alone = (input: Partial<ReportInput>) =>
      reportPage(reportData({ toolVersion: "0.1.0", repairs: [], ...input }));
    const bare = sampleReport(1, { rival, mode: undefined, budget: undefined });
    const { trainings, evaluations, experiments } = samplePage();
    expect(alone({ repairs: [bare] })).toContain("<title>WiSE-FT applied to tuned</title>");
    expect(alone({ trainings })).toContain("<title>Fine-tune of org/chat</title>");
    expect(alone({ evaluations })).toContain("<title>Evaluation of aligned, tuned, repaired</title>");
    expect(alone({ experiments })).toContain("<title>Experiment Which mode keeps most?</title>");
  });

  test("an experiment's chosen row, published figure and test, and what they are, as table.md says it", async () => {
    const page = reportPage(reportData(samplePage()));
    const notes = (await textsOf(page, "#experiments p")).map((text) =>
      text.replaceAll("&quot;", '"').replaceAll("&#39;", "'"),
    );
    expect(notes[0]).toContain("of rows that do not depend on the seed over prompts.");
    expect(notes[1]).toStartWith('Differences (Δ) are to "tuned", prompt by prompt: mean over seeds with Student');
    expect(notes[1]).toEndWith("p is McNemar's, exact, over the prompts of all seeds.");
    expect(notes[2]).toStartWith(
      '◀: of a method\'s settings the one of most utility ("solved") that is at most 0.02 less safe ("refusal") than',
    );
    expect(experimentMarkdown(sampleExperiment)).toEndWith(`\n${notes.join("\n")}\n`);
    const cells = (await textsOf(page, "#experiments td")).map((text) => text.trim());
    expect(cells).toEqual([
      "0.1000.000 … 0.200",
      "0.9000.800 … 1.000",
      "–",
      "0.8000.700 … 0.900Δ 0.700 (0.600 … 0.800)p 0.00100paper: 0.750",
      "0.7000.600 … 0.800",
      "10.0 %",
    ]);
    expect((await textsOf(page, "#experiments tbody th"))[1]).toContain("◀ chosen setting");
  });

  test("an experiment's legend names methods and the ring, and what lies in one place is told", async () => {
    const [one] = sampleExperiment.cases;
    const [tuned, optimal] = one.rows;
    const same = { ...tuned, label: "none", method: "none" };
    const far = {
      ...tuned,
      label: "far",
      method: "far",
      entries: { ...tuned.entries, refusal: { value: 0.9, low: 0, high: 1 } },
    };
    const page = (rows: readonly (typeof tuned)[]) =>
      reportPage(
        reportData({
          toolVersion: "0.1.0",
          repairs: [],
          experiments: [{ ...sampleExperiment, cases: [{ ...one, rows }] }],
        }),
      );
    const found = page([tuned, same, far, optimal]);
    const legend = await textsOf(found, "#experiments figure:first-child .legend li");
    expect(legend.map((text) => text.trim())).toEqual([
      "tuned",
      "none",
      "far",
      "optimal",
      "chosen setting of its method",
    ]);
    expect(await textsOf(found, "#experiments .together li")).toEqual(["(0.1, 0.9): tuned, none"]);
    expect(await textsOf(page([tuned, far, optimal]), "#experiments .together")).toEqual([]);
    const many = [0.1, 0.3, 0.5, 0.7].flatMap((value) =>
      [1, 2].map((i) => ({
        ...{ label: `m${value} ${i}`, method: "m", isBest: false },
        entries: { refusal: { value, low: 0, high: 1 }, solved: { value, low: 0, high: 1 } },
      })),
    );
    expect(await textsOf(page(many), "#experiments details.together summary")).toEqual([
      "4 places hold several points",
    ]);
  });
});

describe("before and after", () => {
  test("one column a model, with interval, n and what could not be read; nothing made up", async () => {
    const unread = { metric: "exact", kind: "rate" as const, n: 0, nUnparsed: 3 };
    const evaluations = [
      sampleEvaluation("aligned", [0, 0, 1]),
      sampleEvaluation("tuned", [1, 1, 1], { metrics: [unread] }),
    ];
    const other = sampleEvaluation("tuned", [1, 1, 1], { task: "words", promptsSha256: "p2" });
    const page = reportPage(reportData(samplePage({ evaluations: [...evaluations, other], comparisons: [] })));
    const cells = (await textsOf(page, "#answers td")).map((text) => text.trim());
    expect(cells).toEqual([
      ...["33.3 %0.0 % … 100.0 %n = 3", "nothing could be judgedn = 0, 3 unread", "not measured"],
      ...["not measured", "100.0 %0.0 % … 100.0 %n = 3", "not measured"],
    ]);
  });

  test("a model of the repair that was not measured has a column, and the page says how to measure it", async () => {
    const evaluations = [sampleEvaluation("aligned", [0, 0, 1])];
    const page = reportPage(reportData(samplePage({ evaluations, comparisons: [] })));
    expect((await textsOf(page, "#answers thead th")).slice(1)).toEqual(["aligned", "tuned", "repaired"]);
    const told = (await textsOf(page, "#answers p")).join(" ");
    expect(told).toContain("Not measured: tuned ./tuned, repaired OUT. Ask each such MODEL");
    const [commands] = await textsOf(page, "#answers pre");
    expect(commands).toContain("bun run safedelta eval MODEL --prompts guarded.jsonl --metric asr-keywords --out eval");
    expect(reportText(reportData(samplePage({ evaluations })))).toContain(commands);
    const whole = reportPage(reportData(samplePage()));
    expect(await textsOf(whole, "#answers pre")).toEqual([]);
    const lora = sampleReport(1, { outFormat: "lora", recipe: { out: "mine" } });
    expect(reportPage(reportData({ toolVersion: "0.1.0", repairs: [lora] }))).toContain("org/chat+mine");
  });

  test("evaluations of one model on the same prompts stand in one column, whatever each measured", async () => {
    const other = { metric: "pattern", kind: "mean" as const, value: 0.25, n: 3, nUnparsed: 2 };
    const evaluations = [
      sampleEvaluation("tuned", [1, 1, 1]),
      sampleEvaluation("tuned", [1, 1, 1], { metrics: [other] }),
    ];
    const data = reportData({ toolVersion: "0.1.0", repairs: [], evaluations });
    const cells = (await textsOf(reportPage(data), "#answers td")).map((text) => text.trim());
    expect(cells).toEqual(["100.0 %0.0 % … 100.0 %n = 3", "0.250n = 3, 2 unread"]);
    expect(reportText(data)).toMatch(/pattern +tuned +0\.250 +3, 2 unread/);
  });

  test("differences of rates are points of 100", async () => {
    const cells = await textsOf(reportPage(reportData(samplePage())), "#answers td");
    expect(cells.slice(-5)).toEqual(["tuned → repaired", "+33.3", "0.0 … +100.0", "1", "3"]);
  });
});

describe("answers side by side", () => {
  const said = (input: ReportInput) => textsOf(reportPage(reportData(input)), "#samples .said");

  test("those on which models differ come first, and no more than asked for", async () => {
    expect(await said(samplePage())).toEqual([
      ...["question 1", "aligned answer 1", "tuned answer 1", "repaired answer 1"],
      ...["question 2", "aligned answer 2", "tuned answer 2", "repaired answer 2"],
    ]);
    expect(await said(samplePage({ nSamples: 0 }))).toEqual([]);
  });

  const asr = { metric: "asr-keywords", kind: "rate" as const, value: 1, low: 0, high: 1, n: 3, nUnparsed: 0 };
  const harmful = {
    "a set that is known for harm": sampleEvaluation("tuned", [1, 1, 1], { harmful: true }),
    "a set that is judged for harm": sampleEvaluation("tuned", [1, 1, 1], { metrics: [asr] }),
    "a set that another evaluation judges for harm": sampleEvaluation("repaired", [1, 1, 1], { metrics: [asr] }),
  };
  for (const [what, evaluation] of Object.entries(harmful)) {
    const input = samplePage({ evaluations: [sampleEvaluation("aligned", [0, 0, 0]), evaluation] });
    test(`${what} is in no page and no data unless asked for`, () => {
      const data = reportData(input);
      for (const text of [reportPage(data), reportDataJson(data), reportText(data)]) {
        expect(text).not.toContain("question");
        expect(text).not.toContain("answer 1");
      }
      expect(reportPage(data)).toContain('Answers to the 3 prompts of <bdi class="text">numbers</bdi> are left out');
    });
    test(`${what} is folded away when asked for`, async () => {
      const page = reportPage(reportData({ ...input, showHarmful: true }));
      expect(await textsOf(page, "#samples .said")).toHaveLength(6);
      expect(await textsOf(page, "#samples details.warning .said")).toHaveLength(6);
      expect(await elementsOf(page)).toContain("details class");
    });
  }
});

describe("by layer and linear", () => {
  const named = (layer: number, name: string, changes = {}) =>
    linear({ name: `model.layers.${layer}.self_attn.${name}.weight`, ...changes });
  const layers = [
    {
      layer: 0,
      linears: [
        named(0, "q_proj", { safetyLoss: 0.5, fullSafetyLoss: 3 }),
        named(0, "k_proj", { safetyLoss: 0, fullSafetyLoss: 1 }),
      ],
    },
    { layer: 1, linears: [named(1, "q_proj", { safetyLoss: 0.001, fullSafetyLoss: 1 })] },
  ];

  test("numbers are shares of the whole; what is not there has none; the most is darkest", async () => {
    const report = sampleReport(0, { layers, totals: { ...sampleReport(1).totals, fullSafetyLoss: 5 } });
    const page = reportPage(reportData({ toolVersion: "0.1.0", repairs: [report] }));
    const cells = await textsOf(page, "table.heat td");
    expect(cells.slice(0, 4)).toEqual(["60.0", "20.0", "20.0", "–"]);
    expect(cells.slice(4, 8)).toEqual(["10.0", "0", "0.02", "–"]);
    expect(await textsOf(page, "table.heat td.h7")).toContain("60.0");
    expect((await textsOf(page, "table.heat td.h0")).sort()).toEqual(["0", "0.02"]);
    expect(page).toContain("Weights kept bit for bit, share of all: 0 everywhere.");
  });

  test("shares that are all large are told apart, and it says from where colours go", async () => {
    const sizes = [0.7, 0.8, 0.9].map((deltaNorm, layer) => {
      return { layer, linears: [named(layer, "q_proj", { deltaNorm, tunedDeltaNorm: 1 })] };
    });
    const page = reportPage(reportData({ toolVersion: "0.1.0", repairs: [sampleReport(0, { layers: sizes })] }));
    expect(page).toContain("(%; colours from 70.0 on)");
    expect(await textsOf(page, "table.heat td.h0")).toContain("70.0");
    expect(await textsOf(page, "table.heat td.h5")).toContain("80.0");
    expect(await textsOf(page, "table.heat td.h7")).toContain("90.0");
  });
});

describe("for a terminal", () => {
  test("everything in plain text, and nothing that a terminal obeys", () => {
    const text = reportText(reportData(samplePage()));
    for (const words of [
      "Safe Delta repair of tuned",
      "tuned → repaired",
      "optimal --loss 0.3",
      "repairing",
      "prepared state: c3",
      "Which mode keeps most?",
    ])
      expect(text).toContain(words);
    const evil = reportText(
      reportData(samplePage({ repairs: [sampleReport(1, { command: "a\u001b]0;owned\u0007\u202eb\u009b2J" })] })),
    );
    expect(evil).toContain("a\\u001b]0;owned\\u0007\\u202eb\\u009b2J");
  });
});
