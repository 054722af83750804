import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type PicoOptions, writePico } from "../support/pico.ts";

export const chatml =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Write a pico model with another chat template, ChatML unless given. */
export async function writeChatml(folder: string, options: PicoOptions, template = chatml): Promise<string> {
  await writePico(folder, options);
  const path = join(folder, "tokenizer_config.json");
  await writeFile(path, JSON.stringify({ ...(await Bun.file(path).json()), chat_template: template }));
  return folder;
}
