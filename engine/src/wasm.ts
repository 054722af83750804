import * as check from "./checks.ts";
import {
  type AttentionShape,
  type DType,
  dtypeBytes,
  type Eigen,
  type Engine,
  EngineError,
  type EngineInfo,
  type Matrix,
  NotPositiveDefiniteError,
  type Values,
} from "./engine.ts";
import { type Kernels, loadKernels } from "./wasm/load.ts";
import { type Allocation, WasmMatrix } from "./wasm/matrix.ts";
import { LinearMemory, outOfMemory } from "./wasm/memory.ts";

/**
 * Open the WebAssembly engine: one core, 128-bit SIMD, the same bytes on every machine.
 * @param binary the bytes of `kernels_bg.wasm`, where no file can be read (a browser).
 * @throws EngineUnavailableError when the build cannot be loaded.
 */
export async function openWasm(binary?: BufferSource): Promise<Engine> {
  const { kernels, memory } = await loadKernels(binary);
  return new WasmEngine(kernels, new LinearMemory(kernels, memory));
}

/** How the kernels number what is given by name. */
const dtypeCodes = { f32: 0, f16: 1, bf16: 2 } as const;
const activationCodes = { silu: 0, geluTanh: 1 } as const;

/** What kernels return besides 0 (success) and p + 1 (a bad pivot in row p). */
const statusCodes = { outOfMemory: -1, notFinite: -2, noConvergence: -3 } as const;

export class WasmEngine implements Engine {
  readonly info: EngineInfo = {
    name: "wasm",
    description: "WebAssembly with 128-bit SIMD, one core",
    version: "1",
    threads: 1,
  };
  private readonly live = new Set<Allocation>();
  private heldBytes = 0;
  private mostBytes = 0;
  private open = true;

  constructor(
    private readonly kernels: Kernels,
    private readonly memory: LinearMemory,
  ) {}

  get bytesInUse(): number {
    return this.heldBytes;
  }

  get peakBytes(): number {
    return this.mostBytes;
  }

  [Symbol.dispose](): void {
    for (const allocation of this.live) this.release(allocation);
    this.open = false;
  }

  // ---- memory -------------------------------------------------------------------------------------------------------------
  alloc(rows: number, cols: number, dtype: DType = "f32"): Matrix {
    if (!this.open) throw new EngineError("alloc", "the engine was disposed");
    check.checkAlloc(rows, cols);
    const bytes = rows * cols * dtypeBytes[dtype];
    const allocation: Allocation = { address: this.memory.alloc("alloc", bytes), bytes, live: true };
    this.live.add(allocation);
    this.heldBytes += bytes;
    this.mostBytes = Math.max(this.mostBytes, this.heldBytes);
    return new WasmMatrix(allocation, 0, rows, cols, cols, dtype, () => this.release(allocation));
  }

  private release(allocation: Allocation): void {
    if (!this.live.delete(allocation)) return;
    allocation.live = false;
    this.heldBytes -= allocation.bytes;
    this.memory.free(allocation.address, allocation.bytes);
  }

  /** Our own live handles behind the given matrices. */
  private own<M extends Matrix[]>(operation: string, ...matrices: M): { [K in keyof M]: WasmMatrix } {
    for (const m of matrices) {
      if (m instanceof WasmMatrix && this.live.has(m.allocation)) continue;
      throw new EngineError(operation, `the ${m.rows} x ${m.cols} matrix was disposed or belongs to another engine`);
    }
    return matrices as { [K in keyof M]: WasmMatrix };
  }

  /** A square f32 matrix. */
  private square(operation: string, m: Matrix): WasmMatrix {
    const [own] = this.own(operation, m);
    check.checkSquare(operation, own);
    return own;
  }

  /** Visit each run of elements that lie together, with its place in the row-major values. */
  private eachRun(m: WasmMatrix, visit: (bytes: Uint8Array, firstByte: number) => void): void {
    const dense = m.stride === m.cols || m.rows <= 1;
    const [runs, length] = dense ? [Math.min(m.rows, 1), m.rows * m.cols] : [m.rows, m.cols];
    const elementBytes = dtypeBytes[m.dtype];
    for (let i = 0; i < runs; i++) {
      const bytes = this.memory.bytes(m.address + i * m.stride * elementBytes, length * elementBytes);
      visit(bytes, i * length * elementBytes);
    }
  }

  write(m: Matrix, values: Values): void {
    const [own] = this.own("write", m);
    check.checkWrite(own, values);
    const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.eachRun(own, (bytes, first) => bytes.set(source.subarray(first, first + bytes.length)));
  }

  read(m: Matrix): Values {
    const [own] = this.own("read", m);
    const values = new (check.valuesClass(own.dtype))(own.rows * own.cols);
    const target = new Uint8Array(values.buffer);
    this.eachRun(own, (bytes, first) => target.set(bytes, first));
    return values;
  }

  convert(src: Matrix, dst: Matrix): void {
    const [from, to] = this.own("convert", src, dst);
    check.checkConvert(from, to);
    const [source, target] = [dtypeCodes[from.dtype], dtypeCodes[to.dtype]];
    this.kernels.convert(from.address, source, from.stride, to.address, target, to.stride, from.rows, from.cols);
  }

  fill(m: Matrix, value: number): void {
    const [own] = this.own("fill", m);
    const kernel = { f32: this.kernels.fill_f32, f16: this.kernels.fill_f16, bf16: this.kernels.fill_bf16 }[own.dtype];
    kernel(own.address, own.rows, own.cols, own.stride, value);
  }

  // ---- dense algebra --------------------------------------------------------------------------------------------------------
  /** Turn the status of a kernel into nothing or an error; `badPivot` says what p + 1 means. */
  private finish(operation: string, status: number, badPivot?: (row: number) => EngineError): void {
    if (status === 0) return;
    if (status > 0 && badPivot) throw badPivot(status - 1);
    if (status === statusCodes.outOfMemory) throw outOfMemory(operation, 0);
    if (status === statusCodes.notFinite) throw new EngineError(operation, "the matrix holds NaN or infinity");
    if (status === statusCodes.noConvergence) throw new EngineError(operation, "the iteration did not converge");
    throw new EngineError(operation, `unknown status ${status} of the WASM build`);
  }

  gemm(alpha: number, a: Matrix, transA: boolean, b: Matrix, transB: boolean, beta: number, c: Matrix): void {
    const [A, B, C] = this.own("gemm", a, b, c);
    check.checkGemm(A, transA, B, transB, C);
    const left = [A.address, A.rows, A.cols, A.stride, transA] as const;
    const right = [B.address, B.rows, B.cols, B.stride, transB] as const;
    this.finish("gemm", this.kernels.gemm(alpha, ...left, ...right, beta, C.address, C.rows, C.cols, C.stride));
  }

  syrk(alpha: number, a: Matrix, beta: number, c: Matrix): void {
    const [A, C] = this.own("syrk", a, c);
    check.checkSyrk(A, C);
    this.finish("syrk", this.kernels.syrk(alpha, A.address, A.rows, A.cols, A.stride, beta, C.address, C.stride));
  }

  mirror(m: Matrix): void {
    const own = this.square("mirror", m);
    this.kernels.mirror(own.address, own.rows, own.stride);
  }

  choleskyReverse(h: Matrix): void {
    const H = this.square("choleskyReverse", h);
    const status = this.kernels.cholesky_reverse(H.address, H.rows, H.stride);
    this.finish("choleskyReverse", status, (row) => new NotPositiveDefiniteError("choleskyReverse", row, H.rows));
  }

  invertTriangle(r: Matrix): void {
    const R = this.square("invertTriangle", r);
    const status = this.kernels.invert_triangle(R.address, R.rows, R.stride);
    this.finish("invertTriangle", status, (row) => zeroDiagonal("invertTriangle", row, R));
  }

  trmm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trmm", b, r);
    check.checkTriangular("trmm", B, R);
    this.finish("trmm", this.kernels.trmm(B.address, B.rows, B.cols, B.stride, R.address, R.stride, transR));
  }

  trsm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trsm", b, r);
    check.checkTriangular("trsm", B, R);
    const status = this.kernels.trsm(B.address, B.rows, B.cols, B.stride, R.address, R.stride, transR);
    this.finish("trsm", status, (row) => zeroDiagonal("trsm", row, R));
  }

  eigh(h: Matrix): Eigen {
    const H = this.square("eigh", h);
    const n = H.rows;
    return this.memory.borrow("eigh", n * 8, (address) => {
      const vectors = this.alloc(n, n) as WasmMatrix;
      try {
        this.finish("eigh", this.kernels.eigh(H.address, n, H.stride, address, vectors.address, vectors.stride));
      } catch (error) {
        vectors[Symbol.dispose]();
        throw error;
      }
      return { values: this.memory.f64(address, n).slice(), vectors };
    });
  }

  // ---- element-wise and index operations ------------------------------------------------------------------------------------
  add(alpha: number, a: Matrix, c: Matrix): void {
    const [A, C] = this.own("add", a, c);
    check.checkAdd(A, C);
    this.kernels.add(alpha, A.address, A.stride, C.address, C.stride, C.rows, C.cols);
  }

  scaleCols(m: Matrix, factors: Float32Array): void {
    const [own] = this.own("scaleCols", m);
    check.checkScaleCols(own, factors);
    this.memory.lend("scaleCols", factors, (address) =>
      this.kernels.scale_cols(own.address, own.rows, own.cols, own.stride, address),
    );
  }

  columnSquares(m: Matrix): Float64Array {
    const [own] = this.own("columnSquares", m);
    check.checkColumnSquares(own);
    return this.memory.borrow("columnSquares", own.cols * 8, (address) => {
      this.kernels.column_squares(own.address, own.rows, own.cols, own.stride, address);
      return this.memory.f64(address, own.cols).slice();
    });
  }

  gather(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("gather", src, dst);
    check.checkGather(from, rows, cols, to);
    this.move("gather", from, rows, cols, to, to);
  }

  scatter(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("scatter", src, dst);
    check.checkScatter(from, rows, cols, to);
    this.move("scatter", from, rows, cols, to, from);
  }

  /** `few` is the side without indices: its size says how much is moved. */
  private move(
    operation: "gather" | "scatter",
    src: WasmMatrix,
    rows: Int32Array | null,
    cols: Int32Array | null,
    dst: WasmMatrix,
    few: WasmMatrix,
  ): void {
    const kernel = this.kernels[operation];
    const source = [dtypeBytes[src.dtype], src.address, src.stride] as const;
    this.memory.lend(operation, rows, (rowsAt) =>
      this.memory.lend(operation, cols, (colsAt) =>
        kernel(...source, rowsAt, colsAt, dst.address, dst.stride, few.rows, few.cols),
      ),
    );
  }

  // ---- model ----------------------------------------------------------------------------------------------------------------
  rmsNorm(x: Matrix, weight: Matrix, eps: number, offset: number, out: Matrix): void {
    const [X, W, O] = this.own("rmsNorm", x, weight, out);
    check.checkRmsNorm(X, W, O);
    this.kernels.rms_norm(X.address, X.stride, W.address, eps, offset, O.address, O.stride, X.rows, X.cols);
  }

  addBias(x: Matrix, bias: Matrix): void {
    const [X, B] = this.own("addBias", x, bias);
    check.checkAddBias(X, B);
    this.kernels.add_bias(X.address, X.rows, X.cols, X.stride, B.address);
  }

  rotary(x: Matrix, cos: Matrix, sin: Matrix, headDim: number): void {
    const [X, C, S] = this.own("rotary", x, cos, sin);
    check.checkRotary(X, C, S, headDim);
    this.kernels.rotary(X.address, X.rows, X.cols, X.stride, C.address, C.stride, S.address, S.stride, headDim);
  }

  attention(q: Matrix, k: Matrix, v: Matrix, shape: AttentionShape, out: Matrix): void {
    const [Q, K, V, O] = this.own("attention", q, k, v, out);
    check.checkAttention(Q, K, V, shape, O);
    const inputs = [Q.address, Q.stride, Q.rows, K.address, K.stride, V.address, V.stride, K.rows] as const;
    const { nHeads, nKvHeads, headDim, scale } = shape;
    const status = this.kernels.attention(...inputs, nHeads, nKvHeads, headDim, scale, O.address, O.stride);
    this.finish("attention", status);
  }

  gatedActivation(kind: "silu" | "geluTanh", gate: Matrix, up: Matrix): void {
    const [G, U] = this.own("gatedActivation", gate, up);
    check.checkGatedActivation(G, U);
    this.kernels.gated(activationCodes[kind], G.address, G.stride, U.address, U.stride, G.rows, G.cols);
  }
}

function zeroDiagonal(operation: string, row: number, r: Matrix): EngineError {
  return new EngineError(operation, `diagonal element ${row} of the ${r.rows} x ${r.cols} triangle is zero`);
}
