import { PipelineError } from "../errors.ts";
import type { FinetuneOptions } from "./options.ts";

/** @throws PipelineError `usage` naming the first setting that is out of its range, whatever the model and the data */
export function checkRecipe(options: Omit<FinetuneOptions, "model" | "data" | "out">): void {
  const { rate, warmup, epochDecay, clip, adamW, lora, saveMinutes } = options;
  const isShare = (value: number) => value >= 0 && value < 1;
  const wrong = [
    rate > 0 ? "" : `--lr must be above 0, but is ${rate}.`,
    isShare(warmup) || (warmup >= 1 && Number.isInteger(warmup))
      ? ""
      : `--warmup must be a share below 1 or a whole number of updates, but is ${warmup}.`,
    epochDecay > 0 && epochDecay <= 1 ? "" : `--epoch-decay must be above 0, 1 at most, but is ${epochDecay}.`,
    clip >= 0 ? "" : `--clip must be 0 or more, but is ${clip}.`,
    isShare(adamW.beta1) && isShare(adamW.beta2) ? "" : "--beta1 and --beta2 must lie in 0 … 1, 1 left out.",
    adamW.eps > 0 && adamW.weightDecay >= 0 ? "" : "--eps must be above 0, --weight-decay 0 or more.",
    rate * adamW.weightDecay < 1
      ? ""
      : `--lr ${rate} times --weight-decay ${adamW.weightDecay} must be below 1, or weights change their sign.`,
    saveMinutes >= 0 ? "" : `--save-minutes must be 0 or more, but is ${saveMinutes}.`,
    lora && !(lora.alpha > 0) ? `--lora-alpha must be above 0, but is ${lora.alpha}.` : "",
  ].find((problem) => problem !== "");
  if (wrong !== undefined) throw new PipelineError("usage", wrong);
}
