"""What this Python can do: one JSON object {versions, families, peft}.

usage: python abilities.py MODEL_TYPE...

families: those of the given model types that the installed transformers knows. peft: is it installed?
"""

import json
import sys
from importlib.metadata import version
from importlib.util import find_spec

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

libraries = [name for name in ("torch", "transformers", "peft", "safetensors") if find_spec(name)]
print(json.dumps({
    "versions": ", ".join(f"{name} {version(name)}" for name in libraries),
    "families": [name for name in sys.argv[1:] if name in CONFIG_MAPPING_NAMES],
    "peft": find_spec("peft") is not None,
}))
