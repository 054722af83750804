export { countTargets, type Pass, planPasses, type TrainingExample } from "./example.ts";
export { type Lora, type LoraLinear, type LoraOptions, loraTargets, openLora } from "./lora.ts";
export { type TrainingBytes, type TrainingSize, trainedNumbers, trainingBytes } from "./memory.ts";
export { type Parameter, type Trained, type TrainedPart, trainedOf } from "./parameters.ts";
export { rateAt, type Schedule, type ScheduleName } from "./schedule.ts";
export {
  type AdamWOptions,
  defaultAdamW,
  openTrainer,
  type Trainer,
  type TrainerOptions,
  type Update,
} from "./trainer.ts";
