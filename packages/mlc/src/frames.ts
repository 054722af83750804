/** How a kind of chat model writes its turns; what stands before the first one is found by asking the template. */
export interface Frame {
  /** MLC's name of the nearest of its templates. */
  readonly name: string;
  readonly user: string;
  readonly assistant: string;
  /** Between a role and its text. */
  readonly contentSep: string;
  /** Between the assistant's role and the answer that is to come. */
  readonly emptySep: string;
  /** After a user's turn, and after an answer. */
  readonly seps: readonly [string, string];
  /** Texts that end an answer. */
  readonly stops: readonly string[];
}

const chatml: Frame = {
  name: "chatml",
  user: "<|im_start|>user",
  assistant: "<|im_start|>assistant",
  contentSep: "\n",
  emptySep: "\n",
  seps: ["<|im_end|>\n", "<|im_end|>\n"],
  stops: ["<|im_end|>"],
};

const llama3: Frame = {
  name: "llama-3",
  user: "<|start_header_id|>user",
  assistant: "<|start_header_id|>assistant",
  contentSep: "<|end_header_id|>\n\n",
  emptySep: "<|end_header_id|>\n\n",
  seps: ["<|eot_id|>", "<|eot_id|>"],
  stops: ["<|eot_id|>"],
};

const llama2: Frame = {
  name: "llama-2",
  user: "<s>[INST]",
  assistant: "[/INST]",
  contentSep: " ",
  emptySep: "",
  seps: [" ", " </s>"],
  stops: ["</s>"],
};

const mistral: Frame = { ...llama2, name: "mistral_default", user: "[INST]", seps: [" ", "</s>"] };

const gemma: Frame = {
  name: "gemma_instruction",
  user: "<start_of_turn>user",
  assistant: "<start_of_turn>model",
  contentSep: "\n",
  emptySep: "\n",
  seps: ["<end_of_turn>\n", "<end_of_turn>\n"],
  stops: ["<end_of_turn>"],
};

/**
 * The kinds that are known. Sources: the chat templates that the models bring, and mlc-llm's conversation_template folder. Mistral's
 * changed its blanks three times: v0.1, v0.2 and v0.3 of the Instruct models.
 */
export const frames: readonly Frame[] = [
  chatml,
  llama3,
  llama2,
  mistral,
  { ...mistral, seps: ["", "</s>"] },
  { ...mistral, user: "[INST] ", contentSep: "" },
  { ...mistral, user: "[INST] ", contentSep: "", seps: [" ", "</s> "] },
  gemma,
];
