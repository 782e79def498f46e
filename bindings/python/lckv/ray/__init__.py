"""Batch inference over a cluster with Ray Data: prompts in, answers out, each exactly once.

    python -m lckv.ray /models/model.gguf prompts.jsonl -o answers/

    >>> prompts = lckv.ray.read("prompts/")
    >>> answers = lckv.ray.answer(prompts, "/models/model.gguf", workers=100, cpus=31, memory="64GiB", max_tokens=500)
    >>> answers.write_parquet("s3://bucket/answers")

A *worker* is a process, an actor of Ray, with the model and one `lckv.Engine`. Ray Data cuts the prompts into blocks,
hands them to workers, hands the blocks of a worker that has died to others, and shows how far it is.

An answer depends on its prompt, its options, its id and the seed of the run, and on nothing else: neither on the worker
nor on what else is computed. So a block that is computed again has the same answers (among processors of several kinds,
choose a `kernel_set`). Ray takes the result of a block as a whole or not at all, so each prompt has one answer.

docs/scale.md has the arithmetic for large clusters. Needs ``pip install lckv[ray]``, on all nodes.
"""

from __future__ import annotations

try:
    import ray.data  # noqa: F401
except ImportError as problem:
    raise ImportError(f"lckv.ray needs Ray Data: pip install lckv[ray] ({problem})") from problem

from ._answers import Answerer, answer, seed_of
from ._files import Answered, answered, fetch, read

__all__ = ["Answered", "Answerer", "answer", "answered", "fetch", "read", "seed_of"]
