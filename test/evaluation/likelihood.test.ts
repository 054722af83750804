import { describe, expect, test } from "bun:test";
import { openCheckpoint } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { choiceLogLikelihoods, EvaluationError, klDivergence, logOdds } from "@safedelta/evaluation";
import { logits, openModel } from "@safedelta/model";
import { scratchFolder, writePico } from "../support/pico.ts";

const logs = (...shares: number[]) => Float32Array.from(shares, Math.log);

describe("logOdds", () => {
  test("of shares by hand, whatever is added to all logits", () => {
    const shares = logs(0.5, 0.25, 0.125, 0.125);
    expect(logOdds(shares, [0])).toBeCloseTo(0, 6);
    expect(logOdds(shares, [2, 3, 3])).toBeCloseTo(Math.log(1 / 3), 6);
    expect(
      logOdds(
        shares.map((value) => value + 300),
        [0, 1],
      ),
    ).toBeCloseTo(Math.log(3), 4);
    for (const ids of [[], [0, 1, 2, 3], [4], [-1], [0.5]]) expect(() => logOdds(shares, ids)).toThrow(EvaluationError);
  });
});

describe("klDivergence", () => {
  // scipy.stats.entropy([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]) = 0.25 ln 2.
  test("as by hand, nothing of a model from itself, and no number for what cannot be", () => {
    const [p, q] = [logs(0.5, 0.25, 0.25), logs(0.25, 0.25, 0.5)];
    expect(klDivergence(p, q)).toBeCloseTo(0.25 * Math.LN2, 6);
    expect(klDivergence(p, p)).toBe(0);
    expect(klDivergence(logs(1, 0), logs(0.5, 0.5))).toBeCloseTo(Math.LN2, 6);
    expect(klDivergence(logs(0.5, 0.5), logs(1, 0))).toBe(Number.POSITIVE_INFINITY);
    expect(() => klDivergence(p, logs(1))).toThrow(EvaluationError);
  });
});

describe("choiceLogLikelihoods", () => {
  test("sums log softmax of the logits over each choice's tokens", async () => {
    await using scratch = await scratchFolder();
    await writePico(scratch.path, { seed: 1, dtype: "F32" });
    const checkpoint = await openCheckpoint(scratch.path);
    using engine = (await openEngine("reference")).engine;
    using model = await openModel(engine, checkpoint);
    await checkpoint.close();
    const prompt = [5, 9, 17, 3];
    const choices = [[11], [12, 40], [40, 12, 7]];
    const wanted = choices.map((choice) => {
      const ids = [...prompt, ...choice];
      const all = logits(model, ids, "all");
      const size = model.config.vocabularySize;
      return choice.reduce((sum, id, i) => {
        const at = prompt.length - 1 + i;
        const row = [...all.subarray(at * size, (at + 1) * size)];
        return sum + row[id] - Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
      }, 0);
    });
    choiceLogLikelihoods(model, prompt, choices).forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i], 5);
    });
    expect(() => choiceLogLikelihoods(model, [], choices)).toThrow(EvaluationError);
    expect(() => choiceLogLikelihoods(model, prompt, [[]])).toThrow(EvaluationError);
  });
});
