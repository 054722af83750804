/** What a page can use of this package: the host of models in a worker of its own, and its client. */
export { HostClient } from "./client.ts";
export { ApiError } from "./errors.ts";
export { type HostLimits, ModelHost } from "./host.ts";
export type { FromHost, Job, JobEvent, ToHost } from "./job.ts";
export type { ServedModel } from "./prompt.ts";
