//! `xtask <module.wasm> <out folder>`: the wasm-bindgen command line tool in the few lines that we need of it.

use std::env;
use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let mut args = env::args().skip(1);
    let (Some(module), Some(out)) = (args.next(), args.next()) else {
        panic!("usage: xtask <module.wasm> <out folder>");
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("engine").typescript(true);
    let bindgen = bindgen.web(true).expect("target web");
    bindgen.generate(&out).expect("glue generation");
}
