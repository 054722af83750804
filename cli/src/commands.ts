import type { DefinedCommand } from "./command.ts";
import { applyCommand } from "./commands/apply.ts";
import { chatCommand } from "./commands/chat.ts";
import { dataAnswerCommand } from "./commands/dataAnswer.ts";
import { dataLsCommand } from "./commands/dataLs.ts";
import { dataMixCommand } from "./commands/dataMix.ts";
import { dataShowCommand } from "./commands/dataShow.ts";
import { dataTinyCommand } from "./commands/dataTiny.ts";
import { demoCommand } from "./commands/demo.ts";
import { diffCommand } from "./commands/diff.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { estimateCommand } from "./commands/estimate.ts";
import { evalCommand } from "./commands/eval.ts";
import { experimentCommand } from "./commands/experiment.ts";
import { exportMlcCommand } from "./commands/exportMlc.ts";
import { finetuneCommand } from "./commands/finetune.ts";
import { generateCommand } from "./commands/generate.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { layerCommand } from "./commands/layer.ts";
import { playgroundCommand } from "./commands/playground.ts";
import { prepareCommand } from "./commands/prepare.ts";
import { reportCommand } from "./commands/report.ts";
import { serveCommand } from "./commands/serve.ts";
import { sweepCommand } from "./commands/sweep.ts";
import { verifyCommand } from "./commands/verify.ts";

/** Every command but `schema`, which tells about these; of two words, the first names a group. */
export const commands: Readonly<Record<string, DefinedCommand>> = {
  demo: demoCommand,
  prepare: prepareCommand,
  apply: applyCommand,
  sweep: sweepCommand,
  finetune: finetuneCommand,
  eval: evalCommand,
  experiment: experimentCommand,
  report: reportCommand,
  layer: layerCommand,
  inspect: inspectCommand,
  diff: diffCommand,
  verify: verifyCommand,
  generate: generateCommand,
  chat: chatCommand,
  serve: serveCommand,
  playground: playgroundCommand,
  estimate: estimateCommand,
  doctor: doctorCommand,
  "data ls": dataLsCommand,
  "data show": dataShowCommand,
  "data mix": dataMixCommand,
  "data answer": dataAnswerCommand,
  "data tiny": dataTinyCommand,
  "export mlc": exportMlcCommand,
};

/** What the groups are about. */
export const groups: Readonly<Record<string, string>> = {
  data: "Data sets: list, show, mix, and let the aligned model answer",
  export: "Write a model for other runtimes",
};
