export { borrowEngine } from "./cuda.ts";
export * from "./engine.ts";
export { builtLibrary } from "./ffi/built.ts";
export { type CublasFolder, cublasFolders } from "./ffi/cublasFolders.ts";
export { openNamedOrBuilt } from "./ffi/library.ts";
export * from "./open.ts";
export { openReference } from "./reference.ts";
export { numbers as selfTestNumbers } from "./selftest/inputs.ts";
export { type OperationCheck, type Rate, type SelfTest, selfTest } from "./selftest.ts";
