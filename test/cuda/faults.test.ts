import { expect, setDefaultTimeout, test } from "bun:test";
import { scratchFolder } from "../support/pico.ts";
import { builtWith, missing } from "./build.ts";
import { conformance } from "./run.ts";
import { type Fault, trainingFaults } from "./trainingFaults.ts";

setDefaultTimeout(300_000); // the libraries are built first

const faults: readonly Fault[] = [
  ...trainingFaults,
  {
    name: "a sum is begun before all threads have written their part",
    file: "src/grid.cuh",
    from: "work[t] = value;\n  SD_BARRIER();",
    to: "work[t] = value;",
  },
  {
    name: "halves of a sum are read before they are written",
    file: "src/grid.cuh",
    from: "work[t] = op(work[t], work[t + half]);\n    SD_BARRIER();",
    to: "work[t] = op(work[t], work[t + half]);",
  },
  {
    name: "a sum's result is overwritten before all threads have read it",
    file: "src/grid.cuh",
    from: "const T result = work[0];\n  SD_BARRIER();",
    to: "const T result = work[0];",
    order: "random",
  },
  {
    name: "the query is read before it is loaded",
    file: "src/model.cuh",
    from: "query[d] = q[i * q_stride + head * head_dim + d];\n    SD_BARRIER();",
    to: "query[d] = q[i * q_stride + head * head_dim + d];",
  },
  {
    name: "a thread leaves before a barrier",
    file: "src/model.cuh",
    from: "const float *row = x + i * x_stride;",
    to: "const float *row = x + i * x_stride;\n    if (thread_number() >= cols) return;",
  },
  {
    name: "a pivot is overwritten before all threads have seen it",
    file: "src/factor.cuh",
    from: "const float root = sqrtf(pivot);\n    SD_BARRIER();",
    to: "const float root = sqrtf(pivot);",
    order: "reverse",
  },
  {
    name: "a row past the end is read and thrown away",
    file: "src/factor.cuh",
    from: "if (i < n && j < n) tile",
    to: "if (i <= n && j < n) tile",
    kind: "sanitised",
  },
  {
    name: "the query of attention looks one key ahead",
    file: "src/model.cuh",
    from: "const long seen = total - n + i + 1;",
    to: "const long seen = total - n + i + (i + 1 < n ? 2 : 1);",
  },
  {
    name: "the compute stream does not wait for what was copied in",
    file: "src/engine.cpp",
    from: 'SD_TRY(check(driver.stream_wait(compute, slot.copied, 0), "cuStreamWaitEvent"));',
    to: "",
  },
  {
    name: "the copy out does not wait for the compute stream",
    file: "src/engine.cpp",
    from: 'SD_TRY(check(driver.stream_wait(out, slot.copied, 0), "cuStreamWaitEvent"));',
    to: "",
  },
  {
    name: "the host reads before the copy out has ended",
    file: "src/engine.cpp",
    from: 'SD_TRY(check(driver.event_synchronize(next.slot->used), "cuEventSynchronize"));',
    to: "",
  },
  {
    name: "pinned memory is filled again before its copy has ended",
    file: "src/engine.cpp",
    from: 'SD_TRY(check(driver.event_synchronize(slot.used), "cuEventSynchronize"));',
    to: "",
  },
  {
    name: "memory is handed out with what was in it",
    file: "src/operations.cpp",
    from: 'return e->check(e->driver.memory_set(taken, 0, size, e->compute), "cuMemsetD8Async");',
    to: "return SD_OK;",
  },
  {
    name: "a kernel gets a host address",
    file: "src/operations.cpp",
    from: "list.at<const float>()",
    to: "factors",
  },
  {
    name: "a product's strides are exchanged",
    file: "src/algebra.cpp",
    from: "b_stride, at<float>(a), a_stride, &beta",
    to: "a_stride, at<float>(a), b_stride, &beta",
  },
  {
    name: "an old pivot is found again",
    file: "src/engine.cpp",
    from: 'return check(driver.memory_set(status, 0, sizeof(int), compute), "cuMemsetD8Async");',
    to: "return SD_OK;",
  },
  {
    name: "a Hessian is summed from its first two terms alone",
    file: "src/algebra.cpp",
    from: "{{1, 1}, {0, 2}, {2, 0}, {0, 1}, {1, 0}, {0, 0}}",
    to: "{{0, 1}, {1, 0}, {0, 0}}",
  },
  {
    name: "an eigenvalue's sweep loses its last rotation",
    file: "src/eigen.cpp",
    from: "rotations.add(c, s);",
    to: "if (i > l) rotations.add(c, s);",
  },
  {
    name: "a call is made on whatever device was set last",
    file: "src/engine.h",
    from: 'int enter() { return check(driver.context_set(context), "cuCtxSetCurrent"); }',
    to: 'int enter() { return handle ? SD_OK : check(driver.context_set(context), "cuCtxSetCurrent"); }',
    devices: 2,
  },
  {
    name: "memory that one device freed is handed out on another",
    file: "src/engine.h",
    from: "std::unordered_map<size_t, std::vector<sd::DeviceAddress>> pool;",
    to: "static inline std::unordered_map<size_t, std::vector<sd::DeviceAddress>> pool;",
    devices: 2,
  },
];

for (const { name, order = "forward", kind = "plain", devices, topic, ...change } of faults) {
  test.skipIf(missing !== undefined)(`a planted fault fails: ${name}`, async () => {
    await using scratch = await scratchFolder();
    const folder = await builtWith(change, kind, scratch.path);
    const { code, output } = await conformance(folder, kind, { order, devices }, true, topic);
    expect({ code, output: code === 0 ? output.slice(-2000) : "" }).not.toEqual({ code: 0, output: expect.anything() });
  });
}
