#!/usr/bin/env bash
# Compile the kernels to engine/cuda/kernels.ptx (committed): bash engine/cuda/build-ptx.sh [OUT]
# Takes nvcc 13.0.88 from CUDA_HOME, from PATH, or from the project's .cuda folder, which fetch-toolchain.sh fills; another version gives other text.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/kernels.ptx}
project=$here/../../.cuda/nvidia/cu13
release="release 13.0, V13.0.88"

for nvcc in "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "$(command -v nvcc || true)" "$project/bin/nvcc"; do
  if [[ -x $nvcc ]] && [[ $("$nvcc" --version) == *"$release"* ]]; then break; fi
  nvcc=
done
[[ -n $nvcc ]] || {
  echo "build-ptx: no nvcc with $release in CUDA_HOME, PATH or .cuda: run engine/cuda/fetch-toolchain.sh" >&2
  exit 3
}
cd "$here/src"
# PTX 7.0 is what drivers of CUDA 11 read; ptxas takes it for every target from sm_80 on.
"$nvcc" -std=c++17 -O3 -Werror all-warnings -ptx -arch=compute_80 kernels.cu -o "$out.new"
sed -e 's/^\.version .*/.version 7.0/' -e '/^\/\/ Cuda compilation tools/d' -e '/^\/\/ Compiler Build ID/d' "$out.new" > "$out"
rm "$out.new"
