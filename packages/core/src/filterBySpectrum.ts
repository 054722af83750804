import type { Engine, Matrix } from "@safedelta/engine";
import { basisOf, directionsOf, gainsAt } from "./basis.ts";
import { curveFrom } from "./curve.ts";
import { fullLossOf, lossesAt, strengthFor } from "./dial.ts";
import type { Spectrum } from "./factor.ts";
import type { ColumnSquares, Filter } from "./filter.ts";
import { copyOf, owning, product } from "./matrix.ts";
import type { TaskSpectrum } from "./task.ts";

/** One product turns the delta into the directions; then losses are sums, and each D = Δ · forward · diag(gain) · backwardᵀ one product. */
export function filterBySpectrum(
  engine: Engine,
  delta: Matrix,
  factor: Spectrum | TaskSpectrum,
  squares: ColumnSquares,
): Filter {
  const { forward, backward } = directionsOf(factor);
  return owning(product(engine, delta, forward), (turned) => {
    const curve = curveFrom(basisOf(factor), squares(turned));
    return {
      fullLoss: fullLossOf(curve),
      strengthFor: (budget) => strengthFor(curve, budget),
      lossesAt: (strength) => lossesAt(curve, strength),
      deltaAt(strength) {
        if (strength === 0) return copyOf(engine, delta);
        if (strength === Number.POSITIVE_INFINITY) return engine.alloc(delta.rows, delta.cols);
        const gains = Float32Array.from(gainsAt(curve.ratios, curve.unit, strength));
        using shrunken = copyOf(engine, turned, (copy) => engine.scaleCols(copy, gains));
        return product(engine, shrunken, backward, true);
      },
      [Symbol.dispose]: () => turned[Symbol.dispose](),
    };
  });
}
