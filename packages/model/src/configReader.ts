/** Typed access to the untrusted keys of config.json that collects every problem instead of stopping at the first. */
export class ConfigReader {
  constructor(
    private readonly values: Record<string, unknown>,
    readonly problems: string[],
    /** Where these keys stand inside config.json, such as `rope_scaling.`; empty at the top. */
    private readonly prefix = "",
  ) {}

  /** The value of a key; undefined when it is absent or null, which transformers treats alike. */
  get(key: string): unknown {
    return this.values[key] ?? undefined;
  }

  /** Is the key there, be it with null? */
  has(key: string): boolean {
    return Object.hasOwn(this.values, key);
  }

  /** A positive number; `missing` (or, without it, a problem) when the key is absent. */
  positive(key: string, missing?: number): number {
    const value = this.get(key) ?? missing;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    return this.problem(key, "a positive number", value);
  }

  /** A positive whole number, at most `most`; `missing` (or, without it, a problem) when the key is absent. */
  count(key: string, missing?: number, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.get(key) ?? missing;
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value <= most) return value;
    const wanted = most < Number.MAX_SAFE_INTEGER ? `a whole number from 1 to ${most}` : "a positive whole number";
    return this.problem(key, wanted, value);
  }

  flag(key: string, missing: boolean): boolean {
    const value = this.get(key) ?? missing;
    if (typeof value !== "boolean") this.problem(key, "true or false", value);
    return value === true;
  }

  /** The token ids of a key that holds one, a list of them, or none. */
  tokenIds(key: string): number[] {
    const value = this.get(key) ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    const isId = (id: unknown): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0;
    if (ids.every(isId)) return ids;
    this.problem(key, "a token id or a list of them", value);
    return [];
  }

  /** A reader of the object under a key, sharing this reader's problems; null when the key is absent. */
  child(key: string): ConfigReader | null {
    const value = this.get(key);
    if (value === undefined) return null;
    if (typeof value !== "object" || Array.isArray(value)) {
      this.problem(key, "an object", value);
      return null;
    }
    return new ConfigReader(value as Record<string, unknown>, this.problems, `${this.prefix}${key}.`);
  }

  private problem(key: string, wanted: string, value: unknown): number {
    // A default computed from a missing key is NaN: that problem is already told.
    if (Number.isNaN(value)) return Number.NaN;
    const found = value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
    this.problems.push(`config.json: ${this.prefix}${key} ${found}; ${wanted} is needed.`);
    return Number.NaN;
  }
}
