// Generated from engine/include/safedelta.h by `bun run build:abi`.

export const abiVersion = 1;

// biome-ignore format: one function a line
export const symbols = {
  sd_abi_version: { args: [], returns: "i32" },
  sd_last_error: { args: ["ptr", "i32"], returns: "i32" },
  sd_open: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sd_close: { args: ["ptr"], returns: "i32" },
  sd_describe: { args: ["ptr", "ptr", "i32", "ptr"], returns: "i32" },
  sd_memory: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  sd_alloc: { args: ["ptr", "u64_fast", "ptr"], returns: "i32" },
  sd_free: { args: ["ptr", "u64_fast", "u64_fast"], returns: "i32" },
  sd_write: { args: ["ptr", "u64_fast", "u64_fast", "ptr", "u64_fast", "i32"], returns: "i32" },
  sd_read: { args: ["ptr", "u64_fast", "u64_fast", "ptr", "u64_fast", "i32"], returns: "i32" },
  sd_convert: { args: ["ptr", "u64_fast", "i32", "i32", "u64_fast", "i32", "i32", "i32", "i32"], returns: "i32" },
  sd_fill: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "i32", "f32"], returns: "i32" },
  sd_gemm: { args: ["ptr", "f32", "u64_fast", "i32", "i32", "i32", "i32", "u64_fast", "i32", "i32", "i32", "i32", "f32", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
  sd_syrk: { args: ["ptr", "f32", "u64_fast", "i32", "i32", "i32", "f32", "u64_fast", "i32"], returns: "i32" },
  sd_mirror: { args: ["ptr", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_cholesky_reverse: { args: ["ptr", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_invert_triangle: { args: ["ptr", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_trmm: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_trsm: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_eigh: { args: ["ptr", "u64_fast", "i32", "i32", "ptr", "u64_fast", "i32"], returns: "i32" },
  sd_add: { args: ["ptr", "f32", "u64_fast", "i32", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
  sd_scale_cols: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "ptr"], returns: "i32" },
  sd_column_squares: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "ptr"], returns: "i32" },
  sd_gather: { args: ["ptr", "i32", "u64_fast", "i32", "ptr", "ptr", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
  sd_scatter: { args: ["ptr", "i32", "u64_fast", "i32", "ptr", "ptr", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
  sd_rms_norm: { args: ["ptr", "u64_fast", "i32", "u64_fast", "f32", "f32", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
  sd_add_bias: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "u64_fast"], returns: "i32" },
  sd_rotary: { args: ["ptr", "u64_fast", "i32", "i32", "i32", "u64_fast", "i32", "u64_fast", "i32", "i32"], returns: "i32" },
  sd_attention: { args: ["ptr", "u64_fast", "i32", "i32", "u64_fast", "i32", "u64_fast", "i32", "i32", "i32", "i32", "i32", "f32", "u64_fast", "i32"], returns: "i32" },
  sd_gated: { args: ["ptr", "i32", "u64_fast", "i32", "u64_fast", "i32", "i32", "i32"], returns: "i32" },
} as const;
