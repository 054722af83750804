import { dampedHessian, type OptimalFactor, type PreparedGroup, spectrum } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";

/** The two ways to the same repair by `optimal`. */
export const routes = ["spectrum", "hessian"] as const;
export type Route = (typeof routes)[number];

/** A group that keeps what one way needs, and that factor. */
export function preparedBy(
  engine: Engine,
  route: Route,
  damped: Matrix,
): { group: PreparedGroup; factor: OptimalFactor } & Disposable {
  const factor = { spectrum, hessian: dampedHessian }[route](engine, damped);
  return { group: { cols: damped.cols, [route]: factor }, factor, [Symbol.dispose]: () => factor[Symbol.dispose]() };
}
