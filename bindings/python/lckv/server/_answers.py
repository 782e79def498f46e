"""From a request that was understood to an answer: submitting it, and waiting for it without losing the client."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncGenerator,
    Callable,
    Coroutine,
    Dict,
    List,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from starlette.requests import ClientDisconnect, Request

from .. import EngineFull, Error, InvalidArgument, OutOfMemory, Unsupported
from ._asks import ChatAsk, Sampling, TextAsk
from ._conversation import Conversation
from ._fields import Fields, parse
from ._openai import Spelled, model_body, options_of
from ._parts import PlainReader, reader_for
from ._problems import Problem, busy, no_time, too_long
from ._settings import Settings
from ._tools import Part
from ._wire import Bodies, until_gone

if TYPE_CHECKING:
    from .._engine import Engine
    from .._job import Event, Job, JobResult

T = TypeVar("T")

LOG = logging.getLogger("lckv.server")


class Service:
    """What all routes share: the engine, the conversation, and threads for what takes long without computing."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.model = engine.model
        self.settings = settings
        self.limits = settings.limits
        self.name = settings.names[0]
        self.conversation = Conversation(self.model, self.name, engine.max_tokens, settings.template)
        self.context = min(engine.max_tokens, self.model.info.context_length or engine.max_tokens)
        """The tokens of a text, as far as memory and the model's training go."""
        self.answered: Dict[Tuple[str, int], int] = {}
        """Requests since the beginning, by path and status."""
        self._started = int(time.time())
        self.bodies = Bodies(self.limits)
        self._spelled: Dict[int, Spelled] = {}
        self._threads = ThreadPoolExecutor(4, "lckv-server")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def beside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Calls a function in another thread, so that others are answered meanwhile: long texts to tokens, say."""

        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *arguments))

    async def read(self, request: Request, work: Callable[[Fields], T]) -> T:
        """Does something with the JSON object that a client sends, in another thread, because it may be large.

        What the work gives is kept as long as the answer takes, so it should hold nothing of what it was given.
        """

        return await self.bodies.use(request, lambda body: self.beside(lambda: work(parse(body))))

    def describe(self, name: str) -> Dict[str, Any]:
        """The model, as /v1/models tells of it."""

        return model_body(name, self._started, max_model_len=self.context, can_chat=self.conversation.can_chat)

    def count(self, path: str, status: int) -> None:
        """Counts a request that was answered."""

        self.answered[path, status] = self.answered.get((path, status), 0) + 1

    def spell(self, token: int) -> Spelled:
        """How a token is written."""

        found = self._spelled.get(token)
        if found is None:
            name = self.model.detokenize_bytes([token], special=True, continues=True)
            is_text = self.model.detokenize_bytes([token], continues=True) == name
            found = self._spelled[token] = Spelled(name, is_text)
        return found

    async def embed(self, request: Request, prompts: Sequence[array[int]], pooling: str) -> List[List[float]]:
        """A vector for each prompt."""

        for prompt in prompts:
            self.check_length(len(prompt))
        work = self.engine.aembed(prompts, pooling=pooling)
        try:
            vectors = await unless_gone(request, asyncio.wait_for(work, self.limits.answer_seconds))
        except asyncio.TimeoutError:
            raise no_time() from None
        rows: List[List[float]] = vectors.tolist()
        return rows

    # ---- Submitting ----

    def check_length(self, n_tokens: int) -> None:
        """Refuses what can never fit into the cache."""

        if n_tokens > self.engine.max_tokens:
            raise too_long(n_tokens, self.engine.max_tokens)

    def check_size(self, sampling: Sampling, n_prompts: int = 1, n_repeated: int = 0) -> None:
        """Refuses what would need too much memory when it is answered."""

        n, most = sampling.n * (n_prompts * sampling.max_tokens + n_repeated), self.limits.answer_parts
        if n * (1 + (sampling.logprobs or 0)) > most:
            logprobs = f", with {sampling.logprobs} log-probabilities each" if sampling.logprobs else ""
            raise Problem(
                f"the answers may have {n} tokens{logprobs}, together more than the {most} that a request may have; "
                f"ask for fewer tokens (max_tokens is {sampling.max_tokens}), answers or log-probabilities",
                param="max_tokens",
            )

    def submit(self, prompt: List[int], sampling: Sampling, schema: Any = None, **options: Any) -> Job:
        """Puts a request into the engine's queue. What is wrong with it, or that the queue is full, is a `Problem`."""

        self.check_length(len(prompt))
        try:
            if schema is not None:
                options["constraint"] = self._constraint(schema)
            deadline = self.limits.answer_seconds
            return self.engine.submit(prompt, deadline=deadline, **options_of(sampling), **options)
        except Exception as error:
            raise self.problem(error) from error

    def _constraint(self, schema: Dict[str, Any]) -> Any:
        from .. import constraints

        return constraints.json_schema(self.model, schema)

    def problem(self, error: BaseException) -> Problem:
        """What a client is told about an exception."""

        if isinstance(error, Problem):
            return error
        if self.engine.failure is not None:
            LOG.critical("the engine has failed; start the server again", exc_info=self.engine.failure)
            return Problem("the engine has failed; the log of the server says why", status=500, code="failed")
        if self.engine.closed:
            return Problem("the server is ending", status=503, code="ending", headers={"Retry-After": "10"})
        if isinstance(error, RecursionError):
            return Problem("the request is nested too deeply")
        if isinstance(error, EngineFull):
            return busy(f"{error}; try again later", self.engine.retry_after())
        if isinstance(error, (InvalidArgument, Unsupported, ImportError)):
            return Problem(str(error))
        if isinstance(error, OutOfMemory):
            return busy("there is not enough memory for this now", self.engine.retry_after())
        if isinstance(error, Error):
            LOG.error("a request failed: %s", error)
            return Problem(str(error), status=500, code="failed")
        LOG.error("a request failed", exc_info=error)
        return Problem("the server failed; its log says why", status=500, code="failed")

    def submit_texts(self, ask: TextAsk) -> List[Job]:
        """A job for each prompt; all or none."""

        jobs: List[Job] = []
        try:
            prompts = self.prompts(ask.prompts)
            self.check_size(ask.sampling, len(prompts), sum(map(len, prompts)) if ask.echo else 0)
            for prompt in prompts:
                jobs.append(self.submit(prompt, ask.sampling, ask.schema, echo=ask.echo))
        except Exception:
            cancel(jobs)
            raise
        return jobs

    def prompts(self, rows: Sequence[Union[str, List[int]]]) -> List[List[int]]:
        """The tokens of prompts, each of which begins a text."""

        return [self.model.prompt(row) if isinstance(row, str) else row for row in rows]

    def tokenize(self, text: str, begins: bool, special: bool) -> List[int]:
        """The tokens of a text, with those that the model adds to a text that begins."""

        return self.model.tokenize(text, bos=None if begins else False, special=special)

    # ---- Chats ----

    def submit_chat(self, ask: ChatAsk) -> Tuple[Job, List[PlainReader], int]:
        """A job, what reads its choices, and the tokens of the prompt. It may take long."""

        self.check_size(ask.sampling)
        tokens = self.conversation.tokens(ask)
        form, schema = self.conversation.tool_format, ask.schema
        if ask.tools is not None and ask.tools.forced and form is not None:
            schema = form.schema(ask.tools)
        job = self.submit(tokens, ask.sampling, schema)
        marks = self.conversation.tool_marks
        return job, [reader_for(ask.tools, form, marks) for _ in range(ask.sampling.n)], len(tokens)


# ---- Waiting ----


class Writer(Protocol):
    """Writes what comes out of a job as the events of an API."""

    def begin(self) -> bytes: ...

    def event(self, event: Event, job: int) -> bytes:
        """Writes an event of one of the jobs."""

    def end(self, results: Sequence[JobResult]) -> bytes: ...

    def fail(self, problem: Problem) -> bytes: ...


def new_id(kind: str) -> str:
    return f"{kind}{secrets.token_hex(12)}"


def cancel(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if not job.done:
            job.cancel()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Waits for something to be done. If the client goes away before, it is cancelled."""

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(until_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def finished(request: Request, jobs: Sequence[Job]) -> List[JobResult]:
    """The results of jobs. If the client goes away before, they end, too."""

    async def all_results() -> List[JobResult]:
        return [await job.aresult() for job in jobs]

    try:
        results = await unless_gone(request, all_results())
    finally:
        cancel(jobs)
    if all(r.n_generated == 0 and {c.reason for c in r.choices} == {"cancelled"} for r in results):
        raise no_time()
    return results


async def parts_of(request: Request, job: Job, readers: List[PlainReader]) -> Tuple[JobResult, List[List[Part]]]:
    """The result of a job, and the parts of each choice."""

    [result] = await finished(request, [job])
    if all(type(reader) is PlainReader for reader in readers):
        return result, [[choice.text] for choice in result.choices]
    parts: List[List[Part]] = [[] for _ in readers]
    async for event in job:  # they are all there
        parts[event.index] += readers[event.index].push(event.text, event.token)
    return result, [made + reader.end() for made, reader in zip(parts, readers)]


async def stream(service: Service, jobs: Sequence[Job], writer: Writer) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream, one job behind the other, though all of them are computed meanwhile."""

    try:
        yield writer.begin()
        for i, job in enumerate(jobs):
            async for event in job:
                if event.reason == "cancelled" and job.n_generated == 0:
                    raise no_time()
                made = b"" if event.reason == "error" else writer.event(event, i)
                if made:
                    yield made
                    await asyncio.sleep(0)  # many events may be ready, and others have their turn
        yield writer.end([await job.aresult() for job in jobs])
    except Exception as error:
        yield writer.fail(service.problem(error))
