import { availableParallelism, cpus, totalmem } from "node:os";

/** What a stored result must say of the machine that gave it. */
export function machine() {
  return {
    cpu: cpus()[0]?.model.trim(),
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    bun: Bun.version,
  };
}
