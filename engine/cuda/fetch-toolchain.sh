#!/usr/bin/env bash
# Fetch what compiles and checks the kernels into .cuda (not committed): bash engine/cuda/fetch-toolchain.sh [--cublas]
# nvcc and its headers from the Python package index (104 MB); --cublas: also cuBLAS (426 MB), which the engine runs on, and what its headers need.
# Versions are pinned, dependencies too: the wheels do not pin theirs. NVIDIA's licence applies to what is fetched.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$project/.cuda
wheels=(
  nvidia-cuda-nvcc==13.0.88
  nvidia-nvvm==13.0.88
  nvidia-cuda-crt==13.0.88
  nvidia-cuda-runtime==13.0.96
)
[[ ${1:-} == --cublas ]] && wheels+=(nvidia-cublas==13.1.1.3 nvidia-cuda-cccl==13.0.85)

for wheel in "${wheels[@]}"; do
  name=${wheel%%==*}
  [[ -d $target/${name//-/_}-${wheel##*==}.dist-info ]] || missing=1
done
[[ -z ${missing:-} ]] || {
  # All at once: pip replaces the folder that the wheels share.
  rm -rf "$target"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target "$target" "${wheels[@]}"
}
