import { PythonRandom } from "./random.ts";

/**
 * The order of n examples in each of so many epochs: 0 … n − 1 shuffled anew each time by one Python `random.Random(seed)`, so
 * that a script can draw the same.
 * @throws RangeError when the seed is no integer
 */
export function epochOrders(n: number, nEpochs: number, seed: number): number[][] {
  const random = new PythonRandom(seed);
  return Array.from({ length: nEpochs }, () => {
    const order = Array.from({ length: n }, (_, i) => i);
    random.shuffle(order);
    return order;
  });
}
