import type { DType, Engine, Matrix } from "@safedelta/engine";
import type { Case, Trial } from "./trial.ts";

export const ids = (...values: number[]) => Int32Array.from(values);
export const attentionShape = { nHeads: 4, nKvHeads: 2, headDim: 6, scale: 1 };

/** What an operation is called with: one matrix maker, so that each wrong call is one line. */
export interface Given {
  readonly e: Engine;
  /** An f32 matrix. */
  f(rows: number, cols: number): Matrix;
  /** A 16-bit matrix, bf16 unless given. */
  h(rows: number, cols: number, dtype?: DType): Matrix;
}

/** Calls by operation and by what is wrong with them. */
export type WrongCalls = Readonly<Record<string, Readonly<Record<string, (g: Given) => unknown>>>>;

/** Two 3 x 3 views of one matrix that share one element. */
export function overlapping(f: Given["f"], call: (a: Matrix, b: Matrix) => unknown): unknown {
  const whole = f(5, 5);
  return call(whole.view(0, 0, 3, 3), whole.view(2, 2, 3, 3));
}

export function itself(m: Matrix, call: (m: Matrix) => unknown): unknown {
  return call(m);
}

function given(t: Trial): Given {
  return {
    e: t.engine,
    f: (rows, cols) => t.alloc(rows, cols),
    h: (rows, cols, dtype = "bf16") => t.alloc(rows, cols, dtype),
  };
}

/** A case for each call: its operation refuses it. */
export function refusals(wrongCalls: WrongCalls): Case[] {
  return Object.entries(wrongCalls).flatMap(([operation, calls]) =>
    Object.entries(calls).map(([what, call]) => ({
      name: `${operation} refuses: ${what}`,
      run: (t: Trial) => {
        t.rejects(operation, () => call(given(t)));
      },
    })),
  );
}
