"""Load model folders in transformers as they are, and compute logits.

usage: python load_in_transformers.py JOBS.json OUT

JOBS.json: a list of {"folder", "chat": [messages...], "ids": [[token ids]...]}. Prints a list with, for each job, the class,
the dtype that torch_dtype="auto" gave, what loading complained about, whether head and embedding are one, and the ids of
the conversation by its chat template. OUT/<i>.safetensors receives logits.<j> (positions x vocabulary) of job i, computed in
float32 by eager attention.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

COMPLAINTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids])).logits[0].contiguous()


def load(job, out):
    model, info = AutoModelForCausalLM.from_pretrained(
        job["folder"], torch_dtype="auto", attn_implementation="eager", output_loading_info=True)
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model = model.float().eval()
    save_file({f"logits.{j}": logits(model, ids) for j, ids in enumerate(job["ids"])}, out)
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    chat = tokenizer.apply_chat_template(job["chat"], add_generation_prompt=True, return_dict=False)
    return {"class": type(model).__name__, "dtypes": dtypes, "tied": tied, "chat": chat,
            "complaints": [str(text) for key in COMPLAINTS for text in info.get(key, [])]}


def main(jobs, out):
    work = enumerate(json.loads(Path(jobs).read_text()))
    print(json.dumps([load(job, Path(out) / f"{i}.safetensors") for i, job in work]))


main(*sys.argv[1:])
