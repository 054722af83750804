import { type EngineInfo, EngineMemoryError, EngineUnavailableError } from "../engine.ts";
import type { Kernels, Status } from "../kernels.ts";
import { statusCodes } from "../kernels.ts";
import type { Library } from "./library.ts";

/** Bytes of an error text or description that are read. */
const textBytes = 1024;

/** `SD_NO_SUCH_DEVICE` of engine/include/safedelta.h. */
const noSuchDevice = -6;

/** There is a device 0, but none of the asked number. */
export class NoSuchDeviceError extends EngineUnavailableError {}

/** An engine of a library behind bun:ffi. */
export class FfiKernels implements Kernels {
  readonly convert: Kernels["convert"];
  readonly fill: Kernels["fill"];
  readonly syrk: Kernels["syrk"];
  readonly mirror: Kernels["mirror"];
  readonly choleskyReverse: Kernels["choleskyReverse"];
  readonly invertTriangle: Kernels["invertTriangle"];
  readonly eigh: Kernels["eigh"];
  readonly add: Kernels["add"];
  readonly scaleCols: Kernels["scaleCols"];
  readonly columnSquares: Kernels["columnSquares"];
  readonly gather: Kernels["gather"];
  readonly scatter: Kernels["scatter"];
  readonly rmsNorm: Kernels["rmsNorm"];
  readonly addBias: Kernels["addBias"];
  readonly rotary: Kernels["rotary"];
  readonly attention: Kernels["attention"];
  readonly gated: Kernels["gated"];
  readonly softmaxCrossEntropy: Kernels["softmaxCrossEntropy"];
  readonly rmsNormBackward: Kernels["rmsNormBackward"];
  readonly attentionBackward: Kernels["attentionBackward"];
  readonly gatedBackward: Kernels["gatedBackward"];
  readonly adamW: Kernels["adamW"];
  readonly scatterAdd: Kernels["scatterAdd"];
  readonly write: Kernels["write"];
  readonly read: Kernels["read"];

  private constructor(
    private readonly library: Library,
    private readonly engine: number,
    /** Whether `close` closes it; a borrowed one is closed by its lender. */
    private readonly owned: boolean,
  ) {
    const { sd } = library;
    this.write = sd.sd_write.bind(undefined, engine);
    this.read = sd.sd_read.bind(undefined, engine);
    this.convert = sd.sd_convert.bind(undefined, engine);
    this.fill = sd.sd_fill.bind(undefined, engine);
    this.syrk = sd.sd_syrk.bind(undefined, engine);
    this.mirror = sd.sd_mirror.bind(undefined, engine);
    this.choleskyReverse = sd.sd_cholesky_reverse.bind(undefined, engine);
    this.invertTriangle = sd.sd_invert_triangle.bind(undefined, engine);
    this.eigh = sd.sd_eigh.bind(undefined, engine);
    this.add = sd.sd_add.bind(undefined, engine);
    this.scaleCols = sd.sd_scale_cols.bind(undefined, engine);
    this.columnSquares = sd.sd_column_squares.bind(undefined, engine);
    this.gather = sd.sd_gather.bind(undefined, engine);
    this.scatter = sd.sd_scatter.bind(undefined, engine);
    this.rmsNorm = sd.sd_rms_norm.bind(undefined, engine);
    this.addBias = sd.sd_add_bias.bind(undefined, engine);
    this.rotary = sd.sd_rotary.bind(undefined, engine);
    this.attention = sd.sd_attention.bind(undefined, engine);
    this.gated = sd.sd_gated.bind(undefined, engine);
    this.softmaxCrossEntropy = sd.sd_softmax_cross_entropy.bind(undefined, engine);
    this.rmsNormBackward = sd.sd_rms_norm_backward.bind(undefined, engine);
    this.attentionBackward = sd.sd_attention_backward.bind(undefined, engine);
    this.gatedBackward = sd.sd_gated_backward.bind(undefined, engine);
    this.adamW = sd.sd_adam_w.bind(undefined, engine);
    this.scatterAdd = sd.sd_scatter_add.bind(undefined, engine);
  }

  /**
   * @param number threads of a CPU library (0: all), or the device of a GPU one
   * @param folders where the library finds its own libraries, one a line; null where it needs none
   * @throws EngineUnavailableError with what the library says is missing; NoSuchDeviceError for a number beyond the last
   */
  static open(library: Library, number: number, folders: string | null): FfiKernels {
    const out = new BigUint64Array(1);
    const paths = folders === null ? null : new TextEncoder().encode(`${folders}\0`);
    const status = library.sd.sd_open(number, paths, out);
    if (status === noSuchDevice) throw new NoSuchDeviceError("open", lastError(library));
    if (status !== 0) throw new EngineUnavailableError("open", lastError(library));
    return new FfiKernels(library, Number(out[0]), true);
  }

  /** An engine that is open already, in another thread. */
  static borrow(library: Library, address: number): FfiKernels {
    return new FfiKernels(library, address, false);
  }

  /** How another thread finds this engine. */
  get place(): { readonly path: string; readonly address: number } {
    return { path: this.library.path, address: this.engine };
  }

  /** What the library says of itself. */
  describe(): Pick<EngineInfo, "description" | "threads" | "memoryBytes"> {
    const [text, threads] = [new Uint8Array(textBytes), new Int32Array(1)];
    this.library.sd.sd_describe(this.engine, text, textBytes, threads);
    const [free, total] = [new Float64Array(1), new Float64Array(1)];
    this.library.sd.sd_memory(this.engine, free, total);
    return { description: textOf(text), threads: threads[0], memoryBytes: total[0] || undefined };
  }

  alloc(operation: string, bytes: number): number {
    const address = new BigUint64Array(1);
    const status = this.library.sd.sd_alloc(this.engine, bytes, address);
    if (status === statusCodes.outOfMemory) throw new EngineMemoryError(operation, bytes, lastError(this.library));
    return Number(address[0]);
  }

  free(address: number, bytes: number): void {
    this.library.sd.sd_free(this.engine, address, bytes);
  }

  outOfMemory(operation: string): EngineMemoryError {
    return new EngineMemoryError(operation, 0, `${lastError(this.library)}. Free memory or take smaller parts.`);
  }

  explain(status: Status): string {
    return `${lastError(this.library)} (status ${status}). Do not trust this engine's results any more.`;
  }

  close(): void {
    if (this.owned) this.library.sd.sd_close(this.engine);
  }

  gemm: Kernels["gemm"] = (alpha, a, aRows, aCols, aStride, transA, b, bRows, bCols, bStride, transB, beta, ...c) => {
    const left = [a, aRows, aCols, aStride, Number(transA)] as const;
    const right = [b, bRows, bCols, bStride, Number(transB)] as const;
    return this.library.sd.sd_gemm(this.engine, alpha, ...left, ...right, beta, ...c);
  };

  trmm: Kernels["trmm"] = (b, rows, n, stride, r, rStride, transR) =>
    this.library.sd.sd_trmm(this.engine, b, rows, n, stride, r, rStride, Number(transR));

  trsm: Kernels["trsm"] = (b, rows, n, stride, r, rStride, transR) =>
    this.library.sd.sd_trsm(this.engine, b, rows, n, stride, r, rStride, Number(transR));
}

/** Of the last call that failed on this thread. */
function lastError({ sd }: Library): string {
  const text = new Uint8Array(textBytes);
  sd.sd_last_error(text, textBytes);
  return textOf(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}
