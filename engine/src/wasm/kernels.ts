import type { EngineMemoryError } from "../engine.ts";
import { dtypeCodes, type Kernels, type Status } from "../kernels.ts";
import type { WasmExports } from "./load.ts";
import { type LinearMemory, outOfMemory } from "./memory.ts";

/** A kernel that cannot fail. */
function safe<A extends unknown[]>(kernel: (...args: A) => void): (...args: A) => Status {
  return (...args) => {
    kernel(...args);
    return 0;
  };
}

/** The committed WASM build. Host arrays are lent into linear memory for the time of a call. */
export class WasmKernels implements Kernels {
  readonly convert: Kernels["convert"];
  readonly gemm: Kernels["gemm"];
  readonly syrk: Kernels["syrk"];
  readonly mirror: Kernels["mirror"];
  readonly choleskyReverse: Kernels["choleskyReverse"];
  readonly invertTriangle: Kernels["invertTriangle"];
  readonly trmm: Kernels["trmm"];
  readonly trsm: Kernels["trsm"];
  readonly add: Kernels["add"];
  readonly rmsNorm: Kernels["rmsNorm"];
  readonly addBias: Kernels["addBias"];
  readonly rotary: Kernels["rotary"];
  readonly attention: Kernels["attention"];
  readonly gated: Kernels["gated"];
  readonly rmsNormBackward: Kernels["rmsNormBackward"];
  readonly attentionBackward: Kernels["attentionBackward"];
  readonly gatedBackward: Kernels["gatedBackward"];
  readonly adamW: Kernels["adamW"];
  readonly gather: Kernels["gather"];
  readonly scatter: Kernels["scatter"];

  constructor(
    private readonly exports: WasmExports,
    private readonly memory: LinearMemory,
  ) {
    this.convert = safe(exports.convert);
    this.gemm = exports.gemm;
    this.syrk = exports.syrk;
    this.mirror = safe(exports.mirror);
    this.choleskyReverse = exports.cholesky_reverse;
    this.invertTriangle = exports.invert_triangle;
    this.trmm = exports.trmm;
    this.trsm = exports.trsm;
    this.add = safe(exports.add);
    this.rmsNorm = safe(exports.rms_norm);
    this.addBias = safe(exports.add_bias);
    this.rotary = safe(exports.rotary);
    this.attention = exports.attention;
    this.gated = safe(exports.gated);
    this.rmsNormBackward = exports.rms_norm_backward;
    this.attentionBackward = exports.attention_backward;
    this.gatedBackward = safe(exports.gated_backward);
    this.adamW = safe(exports.adam_w);
    this.gather = this.mover("gather");
    this.scatter = this.mover("scatter");
  }

  alloc(operation: string, bytes: number): number {
    return this.memory.alloc(operation, bytes);
  }

  free(address: number, bytes: number): void {
    this.memory.free(address, bytes);
  }

  write(to: number, pitchBytes: number, from: Uint8Array, rowBytes: number, rows: number): Status {
    for (let i = 0; i < rows; i++) {
      this.memory.bytes(to + i * pitchBytes, rowBytes).set(from.subarray(i * rowBytes, (i + 1) * rowBytes));
    }
    return 0;
  }

  read(from: number, pitchBytes: number, to: Uint8Array, rowBytes: number, rows: number): Status {
    for (let i = 0; i < rows; i++) to.set(this.memory.bytes(from + i * pitchBytes, rowBytes), i * rowBytes);
    return 0;
  }

  outOfMemory(operation: string): EngineMemoryError {
    return outOfMemory(operation, 0);
  }

  explain(status: Status): string {
    return `unknown status ${status} of the WASM build`;
  }

  /** All engines of a process share one instance, which stays. */
  close(): void {}

  fill(m: number, dtype: number, rows: number, cols: number, stride: number, value: number): Status {
    const { fill_f32, fill_f16, fill_bf16 } = this.exports;
    const kernel = { [dtypeCodes.f32]: fill_f32, [dtypeCodes.f16]: fill_f16, [dtypeCodes.bf16]: fill_bf16 }[dtype];
    kernel?.(m, rows, cols, stride, value);
    return 0;
  }

  eigh(h: number, n: number, stride: number, values: Float64Array, vectors: number, vectorsStride: number): Status {
    return this.receive("eigh", values, (at) => this.exports.eigh(h, n, stride, at, vectors, vectorsStride));
  }

  scaleCols(m: number, rows: number, cols: number, stride: number, factors: Float32Array): Status {
    return this.memory.lend("scaleCols", factors, (at) => {
      this.exports.scale_cols(m, rows, cols, stride, at);
      return 0;
    });
  }

  columnSquares(m: number, rows: number, cols: number, stride: number, sums: Float64Array): Status {
    return this.receive("columnSquares", sums, (at) => {
      this.exports.column_squares(m, rows, cols, stride, at);
      return 0;
    });
  }

  softmaxCrossEntropy: Kernels["softmaxCrossEntropy"] = (
    logits,
    logitsStride,
    targets,
    out,
    outStride,
    rows,
    cols,
    loss,
  ) =>
    this.memory.lend("softmaxCrossEntropy", targets, (list) =>
      this.receive("softmaxCrossEntropy", loss, (at) =>
        this.exports.softmax_cross_entropy(logits, logitsStride, list, out, outStride, rows, cols, at),
      ),
    );

  scatterAdd: Kernels["scatterAdd"] = (src, srcStride, rows, ...target) =>
    this.memory.lend("scatterAdd", rows, (list) => this.exports.scatter_add(src, srcStride, list, ...target));

  /** Run `kernel` with the address of room for `values`, then bring them out. */
  private receive(operation: string, values: Float64Array, kernel: (address: number) => Status): Status {
    return this.memory.borrow(operation, values.byteLength, (address) => {
      const status = kernel(address);
      values.set(this.memory.f64(address, values.length));
      return status;
    });
  }

  private mover(name: "gather" | "scatter"): Kernels["gather"] {
    return (itemBytes, src, srcStride, rows, cols, dst, dstStride, nRows, nCols) =>
      this.memory.lend(name, rows, (rowsAt) =>
        this.memory.lend(name, cols, (colsAt) => {
          this.exports[name](itemBytes, src, srcStride, rowsAt, colsAt, dst, dstStride, nRows, nCols);
          return 0;
        }),
      );
  }
}
