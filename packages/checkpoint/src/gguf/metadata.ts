import { CheckpointError } from "../errors.ts";

/** Typed access to the key-value part of a GGUF header. Every miss is a `CheckpointError` naming the file and the key. */
export class Metadata {
  constructor(
    readonly file: string,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  has(key: string): boolean {
    return Object.hasOwn(this.values, key);
  }

  /** A number; 64-bit integers become numbers when they fit. */
  number(key: string): number {
    const value = this.values[key];
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) return number;
    throw this.bad(key, "a number");
  }

  numberOr<T>(key: string, absent: T): number | T {
    return this.has(key) ? this.number(key) : absent;
  }

  string(key: string): string {
    const value = this.values[key];
    if (typeof value === "string") return value;
    throw this.bad(key, "a string");
  }

  strings(key: string): string[] {
    return this.list(key, (item) => typeof item === "string", "a list of strings");
  }

  numbers(key: string): number[] {
    return this.list(key, (item) => typeof item === "number", "a list of numbers");
  }

  /** True only for a stored `true`. */
  flag(key: string): boolean {
    return this.values[key] === true;
  }

  private list<T>(key: string, isItem: (item: unknown) => boolean, wanted: string): T[] {
    const value = this.values[key];
    if (Array.isArray(value) && value.every(isItem)) return value;
    throw this.bad(key, wanted);
  }

  private bad(key: string, wanted: string): CheckpointError {
    const found = this.has(key) ? "does not hold" : "is missing; it must hold";
    return new CheckpointError("format", `${this.file}: GGUF key ${key} ${found} ${wanted}`, { file: this.file });
  }
}
