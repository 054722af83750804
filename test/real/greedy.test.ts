/** Greedy answers of SmolLM2-135M-Instruct to 20 prompts: those of transformers, one by one and together. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { generate, openModel } from "@safedelta/model";
import { absent, real, realModel, tokenizerOf, withModel } from "./smollm2.ts";

interface Answered {
  readonly prompt: string;
  readonly ids: number[];
  readonly answer: number[];
  readonly text: string;
}

describe.skipIf(!real)(`greedy answers of SmolLM2-135M ${absent && `(skipped: ${absent})`}`, () => {
  test("are those of transformers, whatever runs together", async () => {
    const { answers }: { answers: Answered[] } = await Bun.file(join(import.meta.dir, "greedy.json")).json();
    expect(answers.length).toBe(20);
    using engine = (await openEngine("auto")).engine;
    await withModel(realModel().gguf, async (checkpoint) => {
      using model = await openModel(engine, checkpoint);
      const tokenizer = await tokenizerOf(checkpoint);
      const asked = answers.map(({ prompt }) =>
        tokenizer.encodeChat([{ role: "user", content: prompt }], { addGenerationPrompt: true }),
      );
      expect(asked).toEqual(answers.map(({ ids }) => ids));
      const together = generate(model, asked, { maxNewTokens: 32, stopIds: [2], batchSize: 20 });
      expect(together).toEqual(answers.map(({ answer }) => answer));
      expect(together.map((ids) => tokenizer.decode(ids, { skipSpecialTokens: true }))).toEqual(
        answers.map(({ text }) => text),
      );
      const some = [0, 7, 13];
      for (const i of some)
        expect(generate(model, [asked[i]], { maxNewTokens: 32, stopIds: [2] })).toEqual([answers[i].answer]);
    });
  }, 600_000);
});
