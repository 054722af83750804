#!/usr/bin/env bash
# A Python with PyTorch, transformers and PEFT, for comparisons with the originals: bash scripts/fetch-python.sh FOLDER
# Prints the interpreter. Takes about 5 GB of disk and some minutes; does nothing where it was done.
set -euo pipefail

folder=${1:?usage: fetch-python.sh FOLDER}
wanted=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/test/python/requirements.txt

if ! cmp --silent "$wanted" "$folder/installed.txt"; then
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet --requirement "$wanted" >&2
  cp "$wanted" "$folder/installed.txt"
fi
echo "$(cd "$folder" && pwd)/bin/python"
