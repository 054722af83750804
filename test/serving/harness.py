"""lm-evaluation-harness on the tasks beside this script, against a server and with transformers: prints both as one JSON document.

usage: python harness.py URL NAME FOLDER

Made with lm_eval 0.4.13 (pip install "lm_eval[api]" torch transformers). URL is that of the server, NAME the model's there, FOLDER the
same model for transformers. Nothing is fetched: the data are files, the network of the hub is off.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parent / "tasks"
N_POSITIONS = 64


def answers(model):
    result = lm_eval.simple_evaluate(
        model=model, tasks=["words", "kinds"], task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
        bootstrap_iters=0, cache_requests=False)
    return {
        "results": {task: {name: value for name, value in values.items() if isinstance(value, float)}
                    for task, values in result["results"].items()},
        "samples": {task: [sample["resps"] for sample in sorted(samples, key=lambda sample: sample["doc_id"])]
                    for task, samples in result["samples"].items()},
    }


def main(url, name, folder):
    os.chdir(TASKS)
    with contextlib.redirect_stdout(sys.stderr):
        served = LocalCompletionsAPI(
            base_url=f"{url}/v1/completions", model=name, tokenizer=folder, tokenizer_backend="huggingface",
            max_length=N_POSITIONS, batch_size=4, max_retries=1)
        local = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=4, max_length=N_POSITIONS)
        found = {"served": answers(served), "local": answers(local)}
    print(json.dumps(found))


main(*sys.argv[1:])
