"""Merge a LoRA adapter into its base with PEFT.

usage: python merge_with_peft.py BASE ADAPTER OUT.safetensors

Writes every parameter of the merged model in the base's dtype and prints {"rank", "nAdapted"}.
"""

import json
import sys

from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


def main(base, adapter, out):
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, torch_dtype="auto"), adapter)
    adapted = [name for name, _ in model.named_parameters() if "lora_A" in name]
    rank = model.peft_config["default"].r
    merged = model.merge_and_unload()
    save_file({name: p.data.contiguous() for name, p in merged.named_parameters()}, out)
    print(json.dumps({"rank": rank, "nAdapted": len(adapted)}))


main(*sys.argv[1:])
