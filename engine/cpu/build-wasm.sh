#!/usr/bin/env bash
# Rebuild engine/wasm (committed) from this crate.
#   bash engine/cpu/build-wasm.sh           build into engine/wasm
#   bash engine/cpu/build-wasm.sh --check   build from nothing elsewhere; exit 1 unless the bytes equal the committed ones
# Exit 3: the toolchain is missing or another version. Nothing is installed here; cargo fetches the locked crates.
# The recipe, and why it is not rustup's: docs/engine.md.
set -euo pipefail
shopt -s nullglob

crate=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
committed=$(cd "$crate/../wasm" && pwd)
wanted_rust=1.96.0
packages=(rustc-web cargo-web rust-web-src lld-19)

require_toolchain() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if ((${#missing[@]})); then
    echo "build-wasm: missing Debian packages. Run: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 3
  fi
  local found
  found=$(/usr/bin/rustc --version | cut -d' ' -f2)
  if [[ $found != "$wanted_rust" ]]; then
    echo "build-wasm: Debian's rustc is $found, the committed bytes come from $wanted_rust." >&2
    exit 3
  fi
}

# Paths of this machine must not reach the output: remap them, and leave source locations out.
rust_flags() {
  local flags="-C linker=wasm-ld-19 -C target-feature=+simd128,+bulk-memory -Zlocation-detail=none"
  local registry
  for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do flags+=" --remap-path-prefix=$registry=/deps"; done
  flags+=" --remap-path-prefix=$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust=/std"
  echo "$flags --remap-path-prefix=$crate=/kernels"
}

# build TARGET_FOLDER OUT_FOLDER
build() {
  local -x PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$1
  cd "$crate"
  cargo fetch --locked --quiet
  RUSTFLAGS="" cargo build --release --locked --package xtask
  RUSTFLAGS=$(rust_flags) cargo build --release --locked --package safedelta-kernels \
    -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
  "$1/release/xtask" "$1/wasm32-unknown-unknown/release/safedelta_kernels.wasm" "$2"
  hash_sources >"$2/sources.sha256"
  require_clean "$2"
}

# What the build was made from, so that a test notices a stale one without a Rust toolchain.
hash_sources() {
  { printf '%s\n' Cargo.lock Cargo.toml build-wasm.sh; find src xtask -name '*.rs' -o -name '*.toml'; } |
    LC_ALL=C sort | xargs sha256sum
}

require_clean() {
  local pattern
  for pattern in "$HOME" "$crate" /rustlib/ crates.io; do
    if grep -raFl -- "$pattern" "$1"; then
      echo "build-wasm: the files above hold '$pattern', a name of this machine." >&2
      exit 1
    fi
  done
}

require_toolchain
if [[ ${1:-} == --check ]]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  build "$scratch/target" "$scratch/out"
  diff -r "$scratch/out" "$committed" && echo "build-wasm: the committed build is what the sources give"
else
  build "${CARGO_TARGET_DIR:-$crate/target}" "$committed"
  ls -l "$committed"
fi
