"""Load model folders in transformers as they are, and compute logits.

usage: python load_in_transformers.py JOBS.json OUT

JOBS.json: a list of {"folder", "chat": [messages...], "ids": [[token ids]...]}. Prints a list with, for each job, the class,
the dtype that torch_dtype="auto" gave, what loading complained about, whether head and embedding are one, and the ids of
the conversation by its chat template. OUT/<i>.safetensors receives logits.<j> (positions x vocabulary) of job i, loaded and
computed in float32 by eager attention (a model loaded in bfloat16 has constants, Gemma's normalizer, rounded to it).

The tokenizer is read by the class that its own tokenizer_config.json names: AutoTokenizer goes by the model's family, some of
which (Qwen2 from transformers 5 on) put their own splitting of words in place of the file's.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

COMPLAINTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids])).logits[0].contiguous()


def load(job, out):
    model, info = AutoModelForCausalLM.from_pretrained(job["folder"], torch_dtype="auto", output_loading_info=True)
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    whole = AutoModelForCausalLM.from_pretrained(
        job["folder"], torch_dtype=torch.float32, attn_implementation="eager").eval()
    save_file({f"logits.{j}": logits(whole, ids) for j, ids in enumerate(job["ids"])}, out)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(job["folder"])
    chat = tokenizer.apply_chat_template(job["chat"], add_generation_prompt=True, return_dict=False)
    return {"class": type(model).__name__, "dtypes": dtypes, "tied": tied, "chat": chat,
            "complaints": [str(text) for key in COMPLAINTS for text in info.get(key, [])]}


def main(jobs, out):
    work = enumerate(json.loads(Path(jobs).read_text()))
    print(json.dumps([load(job, Path(out) / f"{i}.safetensors") for i, job in work]))


main(*sys.argv[1:])
