#!/usr/bin/env bash
# Build the CUDA engine into engine/native (not committed): bash engine/cuda/build.sh
# Needs g++ alone: the kernels are embedded as PTX, driver and cuBLAS are opened at run time.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${SAFEDELTA_CUDA_OUT:-$here/../native}

command -v g++ >/dev/null || {
  echo "build-cuda: g++ was not found. Install your distribution's C++ compiler, then run this again." >&2
  exit 3
}
mkdir -p "$out"
# shellcheck disable=SC2086 # flags are words
g++ -std=c++20 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror ${SAFEDELTA_CUDA_FLAGS:-} \
  '-DSD_API=__attribute__((visibility("default")))' -Wa,-I"$here" \
  "$here"/src/{driver,engine,open,algebra,eigen,operations,training}.cpp "$here"/src/ptx.S \
  -static-libstdc++ -static-libgcc -s -Wl,--version-script="$here/exports.map" -Wl,-z,defs -ldl -o "$out/.new-cuda"
# A running process may have the old file open: replace it, never write into it.
mv "$out/.new-cuda" "$out/libsafedelta_cuda.so"
