import { expect, setDefaultTimeout, test } from "bun:test";
import { type Engine, EngineError, type Matrix, openReference, selfTest } from "@safedelta/engine";
import { runSelfTest } from "@safedelta/pipeline";

setDefaultTimeout(300_000); // each runs the whole self-test of the slow reference, up to three times

/** The reference engine with one operation replaced. */
function spoilt(change: Partial<Engine>): Engine {
  const engine = openReference();
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(change, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function failuresOf(change: Partial<Engine>): Promise<Set<string>> {
  const { checks } = await selfTest(
    async () => spoilt(change),
    8,
    () => {},
  );
  return new Set(checks.filter(({ ok }) => !ok).map(({ operation }) => operation));
}

test("an engine that computes as the reference does passes at every size", async () => {
  expect(await failuresOf({})).toEqual(new Set());
});

test("an operation that is off by more than rounding, or gives nothing, is named", async () => {
  const off = await failuresOf({
    addBias(this: Engine, x: Matrix, bias: Matrix) {
      for (let row = 0; row < x.rows; row++) this.add(1 + 1e-4, bias, x.view(row, 0, 1, x.cols));
    },
  });
  expect(off).toEqual(new Set(["addBias"]));
  expect(await failuresOf({ columnSquares: () => new Float64Array(0) })).toEqual(new Set(["columnSquares"]));
  expect(await failuresOf({ mirror: () => {} })).toContain("syrk and mirror");
});

test("what an operation throws is reported, in checks, repairs and rates, and the rest goes on", async () => {
  const notes: string[] = [];
  const report = await runSelfTest(
    async () =>
      spoilt({
        trmm() {
          throw new EngineError("trmm", "the device is gone");
        },
      }),
    8,
    (line) => notes.push(line),
  );
  const failed = report.checks.filter(({ failure }) => failure !== undefined);
  expect(new Set(failed.map(({ operation }) => operation))).toEqual(new Set(["trmm", "trmm, R transposed"]));
  expect(failed.every(({ ok, failure }) => !ok && failure?.includes("the device is gone"))).toBe(true);
  expect(report.repairs.filter(({ ok }) => !ok).map(({ mode }) => mode)).toContain("exact");
  expect(report.rates.filter((rate) => "failure" in rate).map(({ operation }) => operation)).toEqual(["trmm"]);
  expect(report.ok).toBe(false);
  expect(notes).toContain("FAILED trmm: trmm: the device is gone");
});
