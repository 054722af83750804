export { HostClient } from "./client.ts";
export { ApiError } from "./errors.ts";
export { checkHost, checkOrigin, isLoopback, isSame } from "./guard.ts";
export { type HostLimits, ModelHost } from "./host.ts";
export type { FromHost, Job, JobEvent, ScoredText, ToHost } from "./job.ts";
export type { ServedModel } from "./prompt.ts";
export {
  type ApiHandler,
  type ApiOptions,
  type ApiServer,
  errorResponse,
  openApi,
  type ServerOptions,
  serveApi,
} from "./server.ts";
