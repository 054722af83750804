import type { Engine } from "@safedelta/engine";

/** What `failingAt` throws. */
export class Injected extends Error {}

/** The same engine, whose n-th operation fails. */
export function failingAt(engine: Engine, n: number): Engine {
  let calls = 0;
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls += 1;
        if (calls === n) throw new Injected(`operation ${n}: ${String(name)}`);
        return Reflect.apply(value, target, args);
      };
    },
  });
}
