export * from "./config.ts";
export * from "./error.ts";
export * from "./families.ts";
export * from "./groups.ts";
export * from "./rope.ts";
