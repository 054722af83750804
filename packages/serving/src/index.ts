export { HostClient } from "./client.ts";
export { isLoopback } from "./guard.ts";
export { type HostLimits, ModelHost } from "./host.ts";
export type { FromHost, Job, JobEvent, ScoredText, ToHost } from "./job.ts";
export type { ServedModel } from "./prompt.ts";
export { type ApiServer, type ServerOptions, serveApi } from "./server.ts";
