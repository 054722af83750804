import { expect, test } from "bun:test";
import { askTurns, type ChatModel, type Example, givenChat } from "@safedelta/evaluation";

const say = (role: string, content: string) => ({ role, content });
const options = { maxNewTokens: 1 };

/** Answers with everything that it was told. */
const echo: ChatModel = {
  name: "echo",
  answer: async (prompts) => prompts.map((messages) => messages.map(({ content }) => content).join(" ")),
};

const examples: readonly Example[] = [
  { messages: [say("user", "a")] },
  // Its first turn was answered by someone else, not by the model.
  { messages: [say("user", "a"), say("assistant", "other"), say("user", "b")] },
  // Both turns are asked.
  { messages: [say("system", "s"), say("user", "a"), say("user", "b")] },
];

test("answers are given again to the same conversations, turn by turn", async () => {
  const before = await askTurns(echo, examples, options);
  const samples = before.examples.map(({ messages }, i) => ({ messages, answer: before.answers[i] }));
  const again = givenChat("given", examples, samples);
  expect(await askTurns(again, examples, options)).toEqual(before);
  expect(await again.answer([[say("user", "a")]], options)).toEqual(["a"]);
});

test("a conversation that was not asked, or whose sample is lost, is told", async () => {
  const chat = givenChat("given", examples, [{ messages: examples[0].messages, answer: "x" }]);
  expect(askTurns(chat, examples, options)).rejects.toThrow(/given: its samples have no answer to "a"/);
  expect(chat.answer([[say("user", "new")]], options)).rejects.toThrow(/no answer to "new"/);
});
