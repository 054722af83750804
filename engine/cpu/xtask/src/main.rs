//! Usage: xtask MODULE.wasm OUT_FOLDER
//!
//! Writes the JavaScript glue, its type declarations and the final module. It stands in for the wasm-bindgen program, so that the
//! glue's version is locked together with the crate's.

use std::{env, error::Error};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, out] = arguments.as_slice() else {
        return Err("usage: xtask MODULE.wasm OUT_FOLDER".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("kernels").typescript(true).web(true)?;
    bindgen.remove_name_section(true).remove_producers_section(true);
    Ok(bindgen.generate(out)?)
}
