"""python -m lckv.ray MODEL PROMPTS -o FOLDER: answers files of prompts on a cluster."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Dict, List, Optional, Sequence

import ray

from .. import Error
from . import answer, answered, read
from ._files import _resolve

EXAMPLES = """\
A line of PROMPTS is a JSON object, as for lckv batch:

  {"id": "a", "prompt": "Once upon a time", "max_tokens": 50}
  {"id": "b", "messages": [{"role": "user", "content": "Hello"}], "stop": ["."]}

The same command goes on where a run was ended: prompts that have answers in the folder are not computed again.

examples:
  python -m lckv.ray model.gguf prompts.jsonl -o answers/
      on this machine, or on the cluster that it is a node of
  RAY_ADDRESS=10.0.0.1:6379 python -m lckv.ray /shared/model.gguf /shared/prompts/ -o /shared/answers/ --memory 64GiB
      on a cluster whose nodes share a file system: a worker on each, with all of its processors but one
  python -m lckv.ray s3://bucket/model.gguf s3://bucket/prompts/ -o s3://bucket/answers/ --workers 2000 --cpus 31 \\
      --threads 16 --memory 64GiB --sessions 256 --kernel-set avx2
      on 2,000 nodes without one, whose processors differ; each node fetches the model once
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m lckv.ray",
        description="Answers files of prompts with a model, on a cluster of Ray or on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("model", help="a GGUF file or a Hugging Face directory: a path that all nodes have, or a URI to fetch it from")
    add("prompts", help="a file of JSON Lines or a folder of them: a path that all nodes have, or a URI")
    add("-o", "--output", required=True, metavar="FOLDER", help="where files with the answers are written")
    add("-w", "--workers", type=int, metavar="N", help="processes with the model (one for each node)")
    add("--cpus", type=float, metavar="N", help="processors that Ray reserves for each (a node's, without one)")
    add("--threads", type=int, metavar="N", help="threads that compute in each (as many as --cpus)")
    add("-m", "--memory", metavar="SIZE", help="for keys and values in each: 8GiB (half of what is free)")
    add("-s", "--sessions", type=int, default=64, metavar="N", help="prompts at once in each, at most (64)")
    add("--block", type=int, metavar="N", help="prompts that are handed out together (as many as --sessions)")
    add("--rows-per-file", type=int, default=1024, metavar="N", help="answers in a file, at least (1024)")
    add("-n", "--tokens", type=int, default=256, metavar="N", help="tokens of an answer (256)")
    add("--temp", type=float, default=0.0, metavar="T", help="0 takes the most likely token (0)")
    add("--top-p", type=float, default=1.0, metavar="P", help="keep tokens of this probability together")
    add("--top-k", type=int, default=0, metavar="K", help="keep the K most likely tokens")
    add("--stop", action="append", metavar="TEXT", help="end answers before this text; may be given several times")
    add("--seed", type=int, default=0, metavar="N", help="with the id of a prompt, it makes the prompt's seed (0)")
    add("--kv-type", metavar="TYPE", help="of keys and values: f16, bf16, q8_0, ...")
    add("--window", type=int, default=1, metavar="N", help="of prompts, for plans with upward layers (1: exact)")
    add("--tolerance", type=float, default=0.0, metavar="T", help="in such a window (0)")
    add("--kernel-set", metavar="NAME", help="for processors of several kinds: one that all can run")
    add("--model-cache", metavar="FOLDER", help="where nodes keep models that they fetched")
    return made


def node_cpus() -> List[float]:
    """The processors of each node that has some."""

    nodes: Any = ray.nodes
    found = [node["Resources"].get("CPU", 0.0) for node in nodes() if node["Alive"]]
    return [n for n in found if n > 0] or [1.0]


def keep_settings(output: str, settings: Dict[str, Any], has_answers: bool) -> None:
    """Writes what answers depend on beside them. If there are answers that something else was used for, it refuses."""

    filesystem, folder = _resolve(output)
    path = f"{folder}/settings.txt"
    if has_answers and filesystem.get_file_info(path).is_file:
        with filesystem.open_input_stream(path) as stream:
            before = json.loads(stream.read())
        for name, value in settings.items():
            if before.get(name) != value:
                raise ValueError(f"answers in {output} are of {name} {before.get(name)}, and now it is {value}")
    else:
        filesystem.create_dir(folder, recursive=True)
        with filesystem.open_output_stream(path) as stream:
            stream.write(json.dumps(settings, indent=1).encode())


def run(options: argparse.Namespace) -> int:
    defaults = {
        "max_tokens": options.tokens,
        "temperature": options.temp,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "stop": options.stop or [],
    }
    settings = {
        "model": os.path.basename(options.model.rstrip("/")),
        "kernel_set": options.kernel_set,
        "kv_type": options.kv_type,
        "window": options.window,
        "tolerance": options.tolerance,
        "seed": options.seed,
        **defaults,
    }
    before = answered(options.output)
    keep_settings(options.output, settings, before.n_answers > 0)
    cpus = node_cpus()
    if before.n_answers:
        print(f"{before.n_answers} answers are there already", file=sys.stderr)
    began = time.monotonic()
    answers = answer(
        read(options.prompts, skip=before),
        options.model if "://" in options.model else os.path.abspath(options.model),
        workers=options.workers or len(cpus),
        cpus=options.cpus or max(min(cpus) - 1, 0.5),
        threads=options.threads,
        memory=options.memory,
        sessions=options.sessions,
        block=options.block,
        seed=options.seed,
        model_options={"kernel_set": options.kernel_set},
        engine_options={"kv_dtype": options.kv_type, "window": options.window, "tolerance": options.tolerance},
        model_cache=options.model_cache,
        **defaults,
    )
    output = options.output if "://" in options.output else os.path.abspath(options.output)
    answers.write_json(output, min_rows_per_file=options.rows_per_file)
    seconds, after = time.monotonic() - began, answered(options.output)
    n, n_tokens = after.n_answers - before.n_answers, after.n_tokens - before.n_tokens
    n_errors = after.n_errors - before.n_errors
    wrong = f", {n_errors} of them errors" if n_errors else ""
    print(f"{n} answers{wrong}, {n_tokens} tokens in {seconds:.0f} s: {n_tokens / seconds:.0f} tokens/s")
    return 1 if n_errors else 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if not ray.is_initialized():
            ray.init()
        return run(options)
    except (Error, OSError, ValueError, ray.exceptions.RayError) as error:
        # Ray's errors are tracebacks, which are in its logs, too; what was wrong is their last line
        print(f"python -m lckv.ray: {[repr(error), *str(error).splitlines()][-1]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
