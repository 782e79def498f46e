"""From blocks of prompts to blocks of answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Mapping, Optional, Tuple, Union

import pyarrow
from ray.data import ActorPoolStrategy, Dataset

from .._engine import MAX_SESSIONS, Engine
from .._errors import Unsupported
from .._job import Job
from .._model import Model
from ._files import fetch

CALLS = 2  # blocks that a worker computes at once: while the last answers of one end, the other fills the engine

FORMS = ("prompt", "tokens", "messages")
WHOLE = ("max_tokens", "top_k", "seed")
REAL = ("temperature", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
OPTIONS = (*WHOLE, *REAL, "stop", "ignore_end")

SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("text", pyarrow.string()),
        ("tokens", pyarrow.list_(pyarrow.int32())),
        ("reason", pyarrow.string()),
        ("prompt_tokens", pyarrow.int32()),
        ("completion_tokens", pyarrow.int32()),
        ("error", pyarrow.string()),
    ]
)


def answer(
    prompts: Dataset,
    model: str,
    *,
    workers: Union[int, Tuple[int, int]] = 1,
    cpus: float = 1,
    threads: Optional[int] = None,
    memory: Union[int, str, None] = None,
    sessions: int = MAX_SESSIONS,
    block: Optional[int] = None,
    seed: int = 0,
    model_options: Optional[Mapping[str, Any]] = None,
    engine_options: Optional[Mapping[str, Any]] = None,
    model_cache: Optional[str] = None,
    ray_options: Optional[Mapping[str, Any]] = None,
    **defaults: Any,
) -> Dataset:
    """The answers to prompts, computed when they are asked for: a Dataset to be written, or to be gone on with.

    `prompts` comes from `read`, or is any Dataset with the columns `id` and one of `prompt`, `tokens` and `messages`,
    and if wanted `max_tokens`, `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`, `frequency_penalty`,
    `presence_penalty`, `seed`, `stop` and `ignore_end`. These are the options of `Engine.submit`, and count before the
    `defaults`, which have the same names. Ids must be unique, because the seed of a prompt comes from its id.

    An answer has the columns id, text, tokens, reason, prompt_tokens, completion_tokens and error. If a prompt cannot
    be answered, the reason is "error", and the others go on. Options:

    - `model`: a path that all nodes have, or a URI (s3://, gs://, ...) that each node fetches once: see `fetch`
    - `workers`: how many, or the least and the most of them, for clusters that grow
    - `cpus`: what Ray reserves for a worker. Leave some of each node to the tasks that read and write
    - `threads`: those that compute in a worker; `cpus` without it
    - `memory` of a worker, for keys and values, beside the weights, and `sessions`, which it computes at once: see
      `Engine`
    - `block`: so many prompts are handed out, and after a failure computed again, together; `sessions` without it
    - `seed`: of the run, for prompts that name none: see `seed_of`
    - `model_options`, `engine_options`: further ones of `Model` and `Engine`
    - `ray_options`: of `Dataset.map_batches`, such as `memory` (bytes that Ray reserves), `resources`, `runtime_env`
    """

    least, most = (workers, workers) if isinstance(workers, int) else workers
    _check_names(defaults, OPTIONS)
    # With _same between, Ray does not join what makes the prompts, the cutting into blocks and the answers in one task.
    blocks = prompts.map_batches(_same, batch_size=None, batch_format="pyarrow")
    return blocks.repartition(target_num_rows_per_block=block or sessions, strict=True).map_batches(
        Answerer,
        fn_constructor_args=(model, memory),
        fn_constructor_kwargs={
            "threads": threads or max(int(cpus), 1),
            "sessions": sessions,
            "seed": seed,
            "model_options": model_options,
            "engine_options": engine_options,
            "model_cache": model_cache,
            **defaults,
        },
        compute=ActorPoolStrategy(
            min_size=least,
            max_size=most,
            max_tasks_in_flight_per_actor=2 * CALLS,
            max_concurrent_calls_per_actor=CALLS,
            enable_true_multi_threading=True,
        ),
        batch_size=None,  # a whole block, whose answers are then one block
        batch_format="pyarrow",
        num_cpus=cpus,
        **(ray_options or {}),
    )


def _same(block: pyarrow.Table) -> pyarrow.Table:
    return block


class Answerer:
    """A worker: a model and its engine. A call answers a block of prompts, a table, with a table.

    It works without Ray, too, and gives the same answers. Options: see `answer`.
    """

    def __init__(
        self,
        model: str,
        memory: Union[int, str, None] = None,
        *,
        threads: int = 0,
        sessions: int = MAX_SESSIONS,
        seed: int = 0,
        model_options: Optional[Mapping[str, Any]] = None,
        engine_options: Optional[Mapping[str, Any]] = None,
        model_cache: Optional[str] = None,
        **defaults: Any,
    ) -> None:
        _check_names(defaults, OPTIONS)
        self._defaults = defaults
        self._seed = seed
        opening: Dict[str, Any] = {"gemm": "own", **(model_options or {})}  # so that no answer depends on the others
        self._model = Model(fetch(model, model_cache), **opening)
        options: Dict[str, Any] = {"max_queue": 2**31 - 1, "max_sessions": sessions, "n_threads": threads}
        self._engine = Engine(self._model, memory, **{**options, **(engine_options or {})})

    def __call__(self, block: pyarrow.Table) -> pyarrow.Table:
        jobs = [self._submit(row) for row in block.to_pylist()]
        return pyarrow.Table.from_pylist([_answer(id, job) for id, job in jobs], schema=SCHEMA)

    def close(self) -> None:
        """Ends the engine. That of a worker ends with its process."""

        self._engine.close(finish=False)

    def _submit(self, row: Mapping[str, Any]) -> Tuple[str, Union[Job, Exception]]:
        if row.get("id") is None:
            raise ValueError("a prompt has no id; expected a column id, with a value of its own in each row")
        id = str(row["id"])
        try:
            return id, self._engine.submit(**self._request(id, row))
        except (ValueError, TypeError, ArithmeticError, RecursionError, Unsupported) as error:
            return id, error

    def _request(self, id: str, row: Mapping[str, Any]) -> Dict[str, Any]:
        """The arguments of `Engine.submit`."""

        line = row.get("request")
        given = row if line is None else _object(line)
        members = {name: value for name, value in given.items() if value is not None and name != "id"}
        _check_names(members, (*FORMS, *OPTIONS))
        forms = [name for name in FORMS if name in members]
        if len(forms) != 1:
            raise ValueError(f"expected one of prompt, tokens and messages, found {' and '.join(forms) or 'none'}")
        prompt = self._prompt(forms[0], members.pop(forms[0]))
        options = {"seed": seed_of(id, self._seed), **self._defaults, **members}
        return {"prompt": prompt, **{name: _checked(name, value) for name, value in options.items()}}

    def _prompt(self, form: str, value: Any) -> Any:
        if form == "prompt":
            if not isinstance(value, str):
                raise ValueError(f"prompt is {value!r}; expected a string")
            return value
        if not isinstance(value, list):
            raise ValueError(f"{form} is {value!r}; expected a list")
        if form == "tokens":
            return value
        if not all(isinstance(message, dict) for message in value):
            raise ValueError("messages has something else than objects with role and content")
        # in a table a message has the members of all others, too, with nothing in them
        return self._model.chat([{name: of for name, of in message.items() if of is not None} for message in value])


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        given = json.loads(line)
    except ValueError as problem:
        raise ValueError(f"a line is no JSON: {problem}") from problem
    if not isinstance(given, dict):
        raise ValueError("a line is no JSON object")
    return given


def _answer(id: str, job: Union[Job, Exception]) -> Dict[str, Any]:
    if isinstance(job, Exception):
        error = str(job) or type(job).__name__
        return {"id": id, "text": "", "tokens": [], "reason": "error", "error": error, **_counts(0, 0)}
    result = job.result()
    [choice] = result.choices
    counts = _counts(result.n_prompt, result.n_generated)
    return {"id": id, "text": choice.text, "tokens": choice.tokens, "reason": choice.reason, "error": None, **counts}


def _counts(n_prompt: int, n_generated: int) -> Dict[str, int]:
    return {"prompt_tokens": n_prompt, "completion_tokens": n_generated}


def _check_names(members: Mapping[str, Any], known: Tuple[str, ...]) -> None:
    wrong = next((name for name in members if name not in known), None)
    if wrong is not None:
        raise ValueError(f"there is no option {wrong!r} of a prompt; there are {', '.join(known)}")


def _checked(name: str, value: Any) -> Any:
    """An option as the engine takes it. In a table, whole numbers may have become real ones."""

    if name in WHOLE or name in REAL:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or (name in WHOLE and not float(value).is_integer()):
            raise ValueError(f"{name} is {value!r}; expected a {'whole ' if name in WHOLE else ''}number")
        return int(value) if name in WHOLE else float(value)
    if name == "ignore_end" and not isinstance(value, bool):
        raise ValueError(f"ignore_end is {value!r}; expected true or false")
    if name == "stop":
        stops = [value] if isinstance(value, str) else value
        if not isinstance(stops, (list, tuple)) or not all(isinstance(stop, str) and stop for stop in stops):
            raise ValueError(f"stop is {value!r}; expected a string that is not empty, or a list of such")
        return stops
    return value


def seed_of(id: str, seed: int = 0) -> int:
    """The seed of a prompt that names none, in a run with this seed: the same whenever it is computed."""

    digest = hashlib.blake2b(f"{seed}:{id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
