use wasm_bindgen::prelude::*; #[wasm_bindgen] pub fn hello(n: usize) -> usize { n + 1 }
