/* @ts-self-types="./kernels.d.ts" */

/**
 * @param {number} param
 * @param {number} param_dtype
 * @param {number} param_stride
 * @param {number} grad
 * @param {number} grad_stride
 * @param {number} m
 * @param {number} m_stride
 * @param {number} v
 * @param {number} v_stride
 * @param {number} rows
 * @param {number} cols
 * @param {number} decay
 * @param {number} rate1
 * @param {number} beta2
 * @param {number} rate2
 * @param {number} step_size
 * @param {number} correction
 * @param {number} eps
 * @param {number} scale
 */
export function adam_w(param, param_dtype, param_stride, grad, grad_stride, m, m_stride, v, v_stride, rows, cols, decay, rate1, beta2, rate2, step_size, correction, eps, scale) {
    wasm.adam_w(param, param_dtype, param_stride, grad, grad_stride, m, m_stride, v, v_stride, rows, cols, decay, rate1, beta2, rate2, step_size, correction, eps, scale);
}

/**
 * @param {number} alpha
 * @param {number} a
 * @param {number} a_stride
 * @param {number} c
 * @param {number} c_stride
 * @param {number} rows
 * @param {number} cols
 */
export function add(alpha, a, a_stride, c, c_stride, rows, cols) {
    wasm.add(alpha, a, a_stride, c, c_stride, rows, cols);
}

/**
 * @param {number} x
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} bias
 */
export function add_bias(x, rows, cols, stride, bias) {
    wasm.add_bias(x, rows, cols, stride, bias);
}

/**
 * `bytes` zeros; 0 when memory is short.
 * @param {number} bytes
 * @returns {number}
 */
export function alloc(bytes) {
    const ret = wasm.alloc(bytes);
    return ret >>> 0;
}

/**
 * @param {number} q
 * @param {number} q_stride
 * @param {number} n
 * @param {number} k
 * @param {number} k_stride
 * @param {number} v
 * @param {number} v_stride
 * @param {number} total
 * @param {number} n_heads
 * @param {number} n_kv_heads
 * @param {number} head_dim
 * @param {number} scale
 * @param {number} out
 * @param {number} out_stride
 * @returns {number}
 */
export function attention(q, q_stride, n, k, k_stride, v, v_stride, total, n_heads, n_kv_heads, head_dim, scale, out, out_stride) {
    const ret = wasm.attention(q, q_stride, n, k, k_stride, v, v_stride, total, n_heads, n_kv_heads, head_dim, scale, out, out_stride);
    return ret;
}

/**
 * @param {number} q
 * @param {number} q_stride
 * @param {number} k
 * @param {number} k_stride
 * @param {number} v
 * @param {number} v_stride
 * @param {number} n
 * @param {number} n_heads
 * @param {number} n_kv_heads
 * @param {number} head_dim
 * @param {number} scale
 * @param {number} out
 * @param {number} out_stride
 * @param {number} d_out
 * @param {number} d_out_stride
 * @param {number} d_q
 * @param {number} d_q_stride
 * @param {number} d_k
 * @param {number} d_k_stride
 * @param {number} d_v
 * @param {number} d_v_stride
 * @returns {number}
 */
export function attention_backward(q, q_stride, k, k_stride, v, v_stride, n, n_heads, n_kv_heads, head_dim, scale, out, out_stride, d_out, d_out_stride, d_q, d_q_stride, d_k, d_k_stride, d_v, d_v_stride) {
    const ret = wasm.attention_backward(q, q_stride, k, k_stride, v, v_stride, n, n_heads, n_kv_heads, head_dim, scale, out, out_stride, d_out, d_out_stride, d_q, d_q_stride, d_k, d_k_stride, d_v, d_v_stride);
    return ret;
}

/**
 * @param {number} h
 * @param {number} n
 * @param {number} stride
 * @returns {number}
 */
export function cholesky_reverse(h, n, stride) {
    const ret = wasm.cholesky_reverse(h, n, stride);
    return ret;
}

/**
 * @param {number} m
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} out
 */
export function column_squares(m, rows, cols, stride, out) {
    wasm.column_squares(m, rows, cols, stride, out);
}

/**
 * @param {number} src
 * @param {number} src_dtype
 * @param {number} src_stride
 * @param {number} dst
 * @param {number} dst_dtype
 * @param {number} dst_stride
 * @param {number} rows
 * @param {number} cols
 */
export function convert(src, src_dtype, src_stride, dst, dst_dtype, dst_stride, rows, cols) {
    wasm.convert(src, src_dtype, src_stride, dst, dst_dtype, dst_stride, rows, cols);
}

/**
 * @param {number} h
 * @param {number} n
 * @param {number} stride
 * @param {number} values
 * @param {number} vectors
 * @param {number} vectors_stride
 * @returns {number}
 */
export function eigh(h, n, stride, values, vectors, vectors_stride) {
    const ret = wasm.eigh(h, n, stride, values, vectors, vectors_stride);
    return ret;
}

/**
 * @param {number} m
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} value
 */
export function fill_bf16(m, rows, cols, stride, value) {
    wasm.fill_bf16(m, rows, cols, stride, value);
}

/**
 * @param {number} m
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} value
 */
export function fill_f16(m, rows, cols, stride, value) {
    wasm.fill_f16(m, rows, cols, stride, value);
}

/**
 * @param {number} m
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} value
 */
export function fill_f32(m, rows, cols, stride, value) {
    wasm.fill_f32(m, rows, cols, stride, value);
}

/**
 * @param {number} at
 * @param {number} bytes
 */
export function free(at, bytes) {
    wasm.free(at, bytes);
}

/**
 * @param {number} kind
 * @param {number} gate
 * @param {number} gate_stride
 * @param {number} up
 * @param {number} up_stride
 * @param {number} rows
 * @param {number} cols
 */
export function gated(kind, gate, gate_stride, up, up_stride, rows, cols) {
    wasm.gated(kind, gate, gate_stride, up, up_stride, rows, cols);
}

/**
 * @param {number} kind
 * @param {number} gate
 * @param {number} gate_stride
 * @param {number} up
 * @param {number} up_stride
 * @param {number} d_out
 * @param {number} d_out_stride
 * @param {number} d_gate
 * @param {number} d_gate_stride
 * @param {number} d_up
 * @param {number} d_up_stride
 * @param {number} rows
 * @param {number} cols
 */
export function gated_backward(kind, gate, gate_stride, up, up_stride, d_out, d_out_stride, d_gate, d_gate_stride, d_up, d_up_stride, rows, cols) {
    wasm.gated_backward(kind, gate, gate_stride, up, up_stride, d_out, d_out_stride, d_gate, d_gate_stride, d_up, d_up_stride, rows, cols);
}

/**
 * @param {number} item_bytes
 * @param {number} src
 * @param {number} src_stride
 * @param {number} rows
 * @param {number} cols
 * @param {number} dst
 * @param {number} dst_stride
 * @param {number} n_rows
 * @param {number} n_cols
 */
export function gather(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols) {
    wasm.gather(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols);
}

/**
 * @param {number} alpha
 * @param {number} a
 * @param {number} a_rows
 * @param {number} a_cols
 * @param {number} a_stride
 * @param {boolean} trans_a
 * @param {number} b
 * @param {number} b_rows
 * @param {number} b_cols
 * @param {number} b_stride
 * @param {boolean} trans_b
 * @param {number} beta
 * @param {number} c
 * @param {number} c_rows
 * @param {number} c_cols
 * @param {number} c_stride
 * @returns {number}
 */
export function gemm(alpha, a, a_rows, a_cols, a_stride, trans_a, b, b_rows, b_cols, b_stride, trans_b, beta, c, c_rows, c_cols, c_stride) {
    const ret = wasm.gemm(alpha, a, a_rows, a_cols, a_stride, trans_a, b, b_rows, b_cols, b_stride, trans_b, beta, c, c_rows, c_cols, c_stride);
    return ret;
}

/**
 * @param {number} r
 * @param {number} n
 * @param {number} stride
 * @returns {number}
 */
export function invert_triangle(r, n, stride) {
    const ret = wasm.invert_triangle(r, n, stride);
    return ret;
}

/**
 * @returns {number}
 */
export function kernels_version() {
    const ret = wasm.kernels_version();
    return ret >>> 0;
}

/**
 * @param {number} m
 * @param {number} n
 * @param {number} stride
 */
export function mirror(m, n, stride) {
    wasm.mirror(m, n, stride);
}

/**
 * @param {number} x
 * @param {number} x_stride
 * @param {number} weight
 * @param {number} eps
 * @param {number} offset
 * @param {number} out
 * @param {number} out_stride
 * @param {number} rows
 * @param {number} cols
 */
export function rms_norm(x, x_stride, weight, eps, offset, out, out_stride, rows, cols) {
    wasm.rms_norm(x, x_stride, weight, eps, offset, out, out_stride, rows, cols);
}

/**
 * @param {number} x
 * @param {number} x_stride
 * @param {number} weight
 * @param {number} eps
 * @param {number} offset
 * @param {number} d_out
 * @param {number} d_out_stride
 * @param {number} d_x
 * @param {number} d_x_stride
 * @param {number} d_weight
 * @param {number} rows
 * @param {number} cols
 * @returns {number}
 */
export function rms_norm_backward(x, x_stride, weight, eps, offset, d_out, d_out_stride, d_x, d_x_stride, d_weight, rows, cols) {
    const ret = wasm.rms_norm_backward(x, x_stride, weight, eps, offset, d_out, d_out_stride, d_x, d_x_stride, d_weight, rows, cols);
    return ret;
}

/**
 * @param {number} x
 * @param {number} rows
 * @param {number} cols
 * @param {number} x_stride
 * @param {number} cos
 * @param {number} cos_stride
 * @param {number} sin
 * @param {number} sin_stride
 * @param {number} head_dim
 */
export function rotary(x, rows, cols, x_stride, cos, cos_stride, sin, sin_stride, head_dim) {
    wasm.rotary(x, rows, cols, x_stride, cos, cos_stride, sin, sin_stride, head_dim);
}

/**
 * @param {number} m
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} factors
 */
export function scale_cols(m, rows, cols, stride, factors) {
    wasm.scale_cols(m, rows, cols, stride, factors);
}

/**
 * @param {number} item_bytes
 * @param {number} src
 * @param {number} src_stride
 * @param {number} rows
 * @param {number} cols
 * @param {number} dst
 * @param {number} dst_stride
 * @param {number} n_rows
 * @param {number} n_cols
 */
export function scatter(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols) {
    wasm.scatter(item_bytes, src, src_stride, rows, cols, dst, dst_stride, n_rows, n_cols);
}

/**
 * @param {number} src
 * @param {number} src_stride
 * @param {number} rows
 * @param {number} dst
 * @param {number} dst_stride
 * @param {number} n_rows
 * @param {number} n_cols
 * @returns {number}
 */
export function scatter_add(src, src_stride, rows, dst, dst_stride, n_rows, n_cols) {
    const ret = wasm.scatter_add(src, src_stride, rows, dst, dst_stride, n_rows, n_cols);
    return ret;
}

/**
 * @param {number} logits
 * @param {number} logits_stride
 * @param {number} targets
 * @param {number} out
 * @param {number} out_stride
 * @param {number} rows
 * @param {number} cols
 * @param {number} sum
 * @returns {number}
 */
export function softmax_cross_entropy(logits, logits_stride, targets, out, out_stride, rows, cols, sum) {
    const ret = wasm.softmax_cross_entropy(logits, logits_stride, targets, out, out_stride, rows, cols, sum);
    return ret;
}

/**
 * @param {number} alpha
 * @param {number} a
 * @param {number} rows
 * @param {number} cols
 * @param {number} stride
 * @param {number} beta
 * @param {number} c
 * @param {number} c_stride
 * @returns {number}
 */
export function syrk(alpha, a, rows, cols, stride, beta, c, c_stride) {
    const ret = wasm.syrk(alpha, a, rows, cols, stride, beta, c, c_stride);
    return ret;
}

/**
 * @param {number} b
 * @param {number} rows
 * @param {number} n
 * @param {number} stride
 * @param {number} r
 * @param {number} r_stride
 * @param {boolean} transposed
 * @returns {number}
 */
export function trmm(b, rows, n, stride, r, r_stride, transposed) {
    const ret = wasm.trmm(b, rows, n, stride, r, r_stride, transposed);
    return ret;
}

/**
 * @param {number} b
 * @param {number} rows
 * @param {number} n
 * @param {number} stride
 * @param {number} r
 * @param {number} r_stride
 * @param {boolean} transposed
 * @returns {number}
 */
export function trsm(b, rows, n, stride, r, r_stride, transposed) {
    const ret = wasm.trsm(b, rows, n, stride, r, r_stride, transposed);
    return ret;
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./kernels_bg.js": import0,
    };
}

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;
    if (__wbg_init_promise === undefined) {
        __wbg_init_promise = __wbg_init_once(module_or_path);
        __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
    }
    return __wbg_init_promise;
}

async function __wbg_init_once(module_or_path) {

    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }


    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
