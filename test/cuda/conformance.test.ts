import { expect, setDefaultTimeout, test } from "bun:test";
import { built, type Kind, missing } from "./build.ts";
import { conformance, type Device } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

const runs: readonly { kind: Kind; device: Device }[] = [
  { kind: "plain", device: { order: "forward", eager: true } },
  { kind: "plain", device: { order: "reverse" } },
  { kind: "plain", device: { order: "forward", devices: 3 } },
  { kind: "sanitised", device: { order: "random" } },
];

/** The one case list has more cases than this; a run that finds fewer has not run them. */
const leastCases = 500;

for (const { kind, device } of runs) {
  const { order, eager, devices = 1 } = device;
  const name = `${kind}, ${devices} device(s), threads ${order}, work ${eager ? "at once" : "as late as may be"}`;
  test.skipIf(missing !== undefined)(`the library on the stand-ins does what every engine must: ${name}`, async () => {
    const { code, passed, failed, output } = await conformance(await built(kind), kind, device);
    expect({ code, failed, output: failed ? output.slice(-4000) : "" }).toEqual({ code: 0, failed: 0, output: "" });
    expect(passed).toBeGreaterThan(leastCases);
  });
}
