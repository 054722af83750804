export type { LinearNumbers, Progress, Prompt, Role, StoredStop, StoredSweep } from "./scene.ts";
export { buildPage } from "./server/bundle.ts";
export { type PlaygroundServer, type ServeOptions, servePlayground } from "./server/serve.ts";
export type { ShownModel, Sources } from "./server/sources.ts";
export { type LiveModels, type LiveRepair, prepareLive } from "./worker/liveRepair.ts";
