import { expect, test } from "bun:test";
import type { Engine, Matrix } from "@safedelta/engine";
import { cases } from "../../bench/src/cases.ts";

type Operation = { [K in keyof Engine]: Engine[K] extends (...args: never[]) => unknown ? K : never }[keyof Engine];

/** Every operation of the contract: the compiler asks for each. */
const operations: Record<Exclude<Operation, symbol | undefined>, true> = {
  alloc: true,
  write: true,
  read: true,
  convert: true,
  fill: true,
  gemm: true,
  syrk: true,
  mirror: true,
  choleskyReverse: true,
  invertTriangle: true,
  trmm: true,
  trsm: true,
  eigh: true,
  add: true,
  scaleCols: true,
  columnSquares: true,
  gather: true,
  scatter: true,
  rmsNorm: true,
  addBias: true,
  rotary: true,
  attention: true,
  gatedActivation: true,
  softmaxCrossEntropy: true,
  rmsNormBackward: true,
  attentionBackward: true,
  gatedActivationBackward: true,
  scatterAdd: true,
  adamW: true,
};

/** An engine that computes nothing and keeps the names of what is called. */
function recording(names: Set<string>): Engine {
  const matrix = (rows: number, cols: number): Matrix => {
    const view = (_row: number, _col: number, nRows: number, nCols: number) => matrix(nRows, nCols);
    return { rows, cols, stride: cols, dtype: "f32", view, [Symbol.dispose]() {} } as Matrix;
  };
  const given: Record<string, (...args: number[]) => unknown> = {
    alloc: matrix,
    read: () => new Float32Array(1),
    eigh: () => ({ values: new Float64Array(1), vectors: matrix(1, 1) }),
  };
  return new Proxy({} as Engine, {
    get: (_target, name) => {
      return (...args: number[]) => {
        names.add(String(name));
        return given[String(name)]?.(...args);
      };
    },
  });
}

test("every operation of the contract is measured, each as a rate or as a time that is meant", () => {
  const measured = new Set<string>();
  for (const one of cases) {
    const called = new Set<string>();
    using prepared = one.prepare(recording(called));
    called.clear();
    prepared.run();
    for (const name of called) measured.add(name);
  }
  expect(Object.keys(operations).filter((name) => !measured.has(name))).toEqual([]);
  const onlyTimed = cases.filter(({ flops, bytes }) => flops === undefined && bytes === undefined);
  expect(onlyTimed.map(({ name }) => name)).toEqual(["border: alloc and dispose 576 x 576", "eigh 576"]);
});
