import { describe, expect, test } from "bun:test";
import { type Conversation, conversationOf, MlcError, promptOf, type Speaker } from "@safedelta/mlc";

type Turns = Parameters<Speaker["render"]>[0];

/** A tokenizer whose template is a function: what each turn becomes, and what an answer begins with. */
function speaker(render: (turns: Turns) => string, bos?: string): Speaker {
  const ids: Record<string, number> = { "<s>": 1, "</s>": 2, "<|im_end|>": 7, "<|eot_id|>": 9, "<|begin_of_text|>": 8 };
  return { render, tokenId: (text) => ids[text], bos, eosIds: [2, 5] };
}

const chatml = (turns: Turns) =>
  `${turns.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join("")}<|im_start|>assistant\n`;
const system = { role: "system" as const, content: "Be kind." };
const chat: Turns = [
  { role: "user", content: "Who $& wrote Faust?" },
  { role: "assistant", content: "Goethe." },
  { role: "user", content: "When?" },
];
const noSystem = () => {
  throw new Error("no system messages");
};

const withDefault = (turns: Turns) =>
  chatml(turns[0].role === "system" ? turns : [{ role: "system", content: "You are Smol." }, ...turns]);

const llama3 = (turns: Turns) => {
  const block = (role: string, content: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n${content}`;
  const given = turns[0].role === "system" ? turns[0].content : "";
  const rest = turns
    .filter(({ role }) => role !== "system")
    .map(({ role, content }) => `${block(role, content)}<|eot_id|>`);
  const head = `<|begin_of_text|>${block("system", `Today Date: 26 Jul 2024\n\n${given}`)}<|eot_id|>`;
  return head + rest.join("") + block("assistant", "");
};

const llama2 = (turns: Turns) => {
  const given = turns[0].role === "system" ? `<<SYS>>\n${turns[0].content}\n<</SYS>>\n\n` : "";
  const said = turns.filter(({ role }) => role !== "system");
  return said
    .map(({ role, content }, i) =>
      role === "user" ? `<s>[INST] ${i === 0 ? given : ""}${content} [/INST]` : ` ${content} </s>`,
    )
    .join("");
};

const mistral = (before: string, after: string, end: string) => (turns: Turns) => {
  if (turns[0].role === "system") noSystem();
  const write = ({ role, content }: Turns[number]) =>
    role === "user" ? `[INST] ${content}${before}[/INST]` : `${after}${content}${end}`;
  return `<s>${turns.map(write).join("")}`;
};

const gemma = (turns: Turns) => {
  if (turns[0].role === "system") noSystem();
  const name = (role: string) => (role === "assistant" ? "model" : role);
  const said = turns.map(({ role, content }) => `<start_of_turn>${name(role)}\n${content}<end_of_turn>\n`);
  return `<bos>${said.join("")}<start_of_turn>model\n`;
};

/** What web-llm is fed: the prefix tokens' text and the prompt. */
const fed = ({ template }: Conversation, turns: Turns, bos = "") =>
  (template.system_prefix_token_ids ? bos : "") + promptOf(template, turns);

describe("conversationOf", () => {
  test("ChatML with a default system message, which another takes the place of", () => {
    const found = conversationOf(speaker(withDefault));
    expect(found.template).toMatchObject({
      name: "chatml",
      system_template: "<|im_start|>system\n{system_message}<|im_end|>\n",
      system_message: "You are Smol.",
      add_role_after_system_message: true,
      roles: { user: "<|im_start|>user", assistant: "<|im_start|>assistant" },
      seps: ["<|im_end|>\n", "<|im_end|>\n"],
      stop_str: ["<|im_end|>"],
      stop_token_ids: [7, 2, 5],
    });
    expect(found.systemWrap).toBeUndefined();
    for (const turns of [chat, [system, ...chat]]) expect(fed(found, turns)).toBe(withDefault(turns));
  });

  test("a begin token that is part of the turns is no prefix", () => {
    expect(conversationOf(speaker(withDefault, "<|im_start|>")).template).not.toHaveProperty("system_prefix_token_ids");
  });

  test("ChatML without one: none is written, and what is given is to be wrapped", () => {
    const found = conversationOf(speaker(chatml));
    expect(found.systemWrap).toBe("<|im_start|>system\n{system_message}<|im_end|>\n");
    expect(fed(found, chat)).toBe(chatml(chat));
    const wrapped = { ...system, content: found.systemWrap?.replace("{system_message}", system.content) ?? "" };
    expect(fed(found, [wrapped, ...chat])).toBe(chatml([system, ...chat]));
  });

  test("Llama 3 with its date, and the begin token in front", () => {
    const found = conversationOf(speaker(llama3, "<|begin_of_text|>"));
    expect(found.template).toMatchObject({ name: "llama-3", system_message: "", system_prefix_token_ids: [8] });
    for (const turns of [chat, [system, ...chat]]) expect(fed(found, turns, "<|begin_of_text|>")).toBe(llama3(turns));
  });

  test("Llama 2: the system message stands inside the first turn", () => {
    const found = conversationOf(speaker(llama2, "<s>"));
    expect(found.template).toMatchObject({ name: "llama-2", add_role_after_system_message: false });
    expect(found.template).not.toHaveProperty("system_prefix_token_ids");
    expect(fed(found, chat)).toBe(llama2(chat));
    const wrapped = { ...system, content: found.systemWrap?.replace("{system_message}", system.content) ?? "" };
    expect(fed(found, [wrapped, ...chat])).toBe(llama2([system, ...chat]));
  });

  for (const [version, template] of Object.entries({
    "v0.1": mistral(" ", "", "</s> "),
    "v0.1, later": mistral(" ", "", "</s>"),
    "v0.2": mistral(" ", " ", "</s>"),
    "v0.3": mistral("", " ", "</s>"),
  }))
    test(`Mistral ${version}`, () => {
      const found = conversationOf(speaker(template, "<s>"));
      expect(found.template).toMatchObject({ name: "mistral_default", system_prefix_token_ids: [1] });
      expect(found.systemWrap).toBeUndefined();
      expect(fed(found, chat, "<s>")).toBe(template(chat));
    });

  test("Gemma", () => {
    const found = conversationOf(speaker(gemma, "<bos>"));
    expect(found.template.name).toBe("gemma_instruction");
    expect(promptOf(found.template, chat)).toBe(gemma(chat).slice("<bos>".length));
  });

  test("an unknown kind is refused, and one that only looks known after a turn", () => {
    const alpaca = (turns: Turns) => `### Instruction:\n${turns.at(-1)?.content}\n### Response:\n`;
    const forgetful = (turns: Turns) => chatml(turns.slice(-1));
    for (const render of [alpaca, forgetful, noSystem]) {
      expect(() => conversationOf(speaker(render))).toThrow(MlcError);
      expect(() => conversationOf(speaker(render))).toThrow("writes turns differently from chatml, llama-3, llama-2");
    }
  });
});
