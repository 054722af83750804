#!/usr/bin/env bash
# Build the native CPU engine into engine/native (not committed): bash engine/cpu/build-native.sh
# Needs cargo (any recent stable Rust) and a C linker; fetches the locked crates.
set -euo pipefail

crate=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$crate/../native

command -v cargo >/dev/null || {
  echo "build-native: cargo was not found. Install Rust from its own site or your distribution, then run this again." >&2
  exit 3
}
cd "$crate"
target=${CARGO_TARGET_DIR:-$crate/target}
cargo build --profile native --locked --package safedelta-kernels
mkdir -p "$out"
for library in "$target"/native/libsafedelta_kernels.{so,dylib}; do
  [[ -e $library ]] || continue
  # A running process may have the old file open: replace it, never write into it.
  cp "$library" "$out/.new"
  mv "$out/.new" "$out/libsafedelta_native.${library##*.}"
done
