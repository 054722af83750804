#!/usr/bin/env bash
# Build the stand-ins for the driver and cuBLAS, which tests run the CUDA engine against: bash engine/cuda/stand-in/build.sh OUT
# SAFEDELTA_CUDA_FLAGS go to the compiler (for example -fsanitize=address). Linux on x86-64 alone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1

mkdir -p "$out"
# shellcheck disable=SC2206 # flags are words
flags=(-std=c++20 -O2 -g1 -fPIC -fvisibility=hidden -Wall -Wextra -Werror ${SAFEDELTA_CUDA_FLAGS:-})
g++ "${flags[@]}" -shared -x c++ "$here"/{threads,driver}.cpp "$here"/../src/kernels.cu -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1"
g++ "${flags[@]}" -shared -O3 -mavx2 -mfma "$here"/blas.cpp -L"$out" -l:libcuda.so.1 -Wl,-rpath,'$ORIGIN' -Wl,-soname,libcublas.so.13 \
  -o "$out/libcublas.so.13"
