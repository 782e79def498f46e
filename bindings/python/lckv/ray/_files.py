"""Files of prompts, of answers and of models, on disks that nodes share or in object stores."""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import os
import posixpath
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Tuple

import numpy
import pyarrow
import ray
from pyarrow import fs
from ray.data import Dataset

LINES = 4096  # lines that are read at a time
PROMPTS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
ANSWERS = (".json",)  # the name that Ray Data gives to JSON Lines

SCHEMA = pyarrow.schema([("id", pyarrow.string()), ("request", pyarrow.binary())])


@dataclass(frozen=True)
class Answered:
    """What a folder of answers has."""

    digests: Any
    """16 bytes for each id, sorted: for `read`."""
    n_errors: int
    """Answers that are errors."""
    n_tokens: int
    """Tokens of all answers."""

    @property
    def n_answers(self) -> int:
        """All answers, errors among them."""

        return len(self.digests)


def read(path: str, skip: Optional[Answered] = None) -> Dataset:
    """Prompts from JSON Lines: a file or a folder of them, perhaps compressed by gzip, that all nodes can read.

    Lines are those of `lckv batch`: ``{"id": "a", "prompt": "Once upon a time", "max_tokens": 50}``. A line without an
    id has the name of its file and its number instead, as in "prompts.jsonl:17". Those to `skip` have answers already.
    """

    filesystem, root = _resolve(path)
    files = _files(filesystem, root, PROMPTS)
    if not files:
        raise FileNotFoundError(f"{path} has no files that end with {', '.join(PROMPTS)}")
    known = None if skip is None or skip.n_answers == 0 else [ray.put(skip.digests)]
    return _map(files, _read_prompts, filesystem=filesystem, root=root, skip=known)


def answered(path: str) -> Answered:
    """What a folder of answers that Ray Data wrote as JSON Lines has.

    If a run was killed while it wrote, the last line of a file may be incomplete. It is removed.
    """

    filesystem, root = _resolve(path)
    is_folder = filesystem.get_file_info(root).type == fs.FileType.Directory
    files = _files(filesystem, root, ANSWERS) if is_folder else []
    digests = [numpy.array([], "S16")]
    n_errors, n_tokens = 0, 0
    if files:
        table: Any
        for table in _map(files, _read_answers, filesystem=filesystem).iter_batches(
            batch_size=None, batch_format="pyarrow"
        ):
            digests.append(numpy.array(table["digest"].to_pylist(), "S16"))
            n_errors += sum(table["is_error"].to_pylist())
            n_tokens += sum(table["n_tokens"].to_pylist())
    return Answered(numpy.sort(numpy.concatenate(digests)), n_errors, n_tokens)


def fetch(model: str, cache: Optional[str] = None) -> str:
    """The path of a model. Of a URI it is that of this node's copy, which is made if there is none yet.

    Of the processes of a node, one copies and the others wait. A copy has its name when it is complete. `cache` is the
    folder of copies; without it, one in the system's folder for temporary files.
    """

    if "://" not in model:
        return model
    cache = cache or os.path.join(tempfile.gettempdir(), f"lckv-models-{os.getuid()}")
    folder = os.path.join(cache, _digest(model).hex())
    path = os.path.join(folder, posixpath.basename(model.rstrip("/")))
    os.makedirs(cache, mode=0o700, exist_ok=True)
    if os.stat(cache).st_uid != os.getuid():
        raise PermissionError(f"{cache} belongs to somebody else: choose another folder for copies of models")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not os.path.exists(path):
            filesystem, source = fs.FileSystem.from_uri(model)
            part = os.path.join(folder, "part")
            shutil.rmtree(part, ignore_errors=True)
            os.mkdir(part)
            copy = os.path.join(part, os.path.basename(path))
            if filesystem.get_file_info(source).type == fs.FileType.Directory:
                os.mkdir(copy)
            fs.copy_files(source, copy, source_filesystem=filesystem, destination_filesystem=fs.LocalFileSystem())
            os.rename(copy, path)
    return path


def _resolve(path: str) -> Tuple[fs.FileSystem, str]:
    if "://" in path:
        filesystem, inside = fs.FileSystem.from_uri(path)
        return filesystem, inside
    return fs.LocalFileSystem(), os.path.abspath(path)


def _files(filesystem: fs.FileSystem, path: str, ends: Tuple[str, ...]) -> List[str]:
    """The file itself, or those of a folder."""

    if filesystem.get_file_info(path).type == fs.FileType.File:
        return [path]
    found = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(info.path for info in found if info.is_file and info.path.endswith(ends))


def _map(files: List[str], function: Callable[..., Iterator[pyarrow.Table]], **arguments: Any) -> Dataset:
    """A task for each file."""

    paths = ray.data.from_items([{"path": file} for file in files], override_num_blocks=len(files))
    return paths.map_batches(function, batch_size=None, batch_format="pyarrow", fn_kwargs=arguments)


def _read_prompts(
    files: pyarrow.Table, filesystem: fs.FileSystem, root: str, skip: Optional[List[Any]]
) -> Iterator[pyarrow.Table]:
    [file] = files["path"].to_pylist()
    name = posixpath.basename(file) if file == root else posixpath.relpath(file, root)
    known = None if skip is None else ray.get(skip[0])
    with filesystem.open_input_stream(file) as stream:
        numbered = enumerate(io.BufferedReader(stream), 1)
        while some := list(itertools.islice(numbered, LINES)):
            rows = [(_id(line, f"{name}:{number}"), line) for number, line in some if line.strip()]
            if known is not None and rows:
                digests = numpy.array([_digest(id) for id, _ in rows], "S16")
                places = numpy.searchsorted(known, digests) % len(known)
                rows = [row for row, is_known in zip(rows, known[places] == digests) if not is_known]
            yield pyarrow.table([[id for id, _ in rows], [line for _, line in rows]], schema=SCHEMA)


def _id(line: bytes, otherwise: str) -> str:
    try:
        id = json.loads(line)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return otherwise  # what is wrong with the line is for the worker to say
    return otherwise if id is None else str(id).encode("utf-8", "replace").decode()


def _digest(id: str) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=16).digest()


def _read_answers(files: pyarrow.Table, filesystem: fs.FileSystem) -> Iterator[pyarrow.Table]:
    [file] = files["path"].to_pylist()
    with filesystem.open_input_stream(file) as stream:
        data = stream.read()
    lines = data.split(b"\n")
    try:
        json.loads(lines[-1] or "{}")
    except ValueError:
        if not isinstance(filesystem, fs.LocalFileSystem):
            raise ValueError(f"the last line of {file} is incomplete: remove it") from None
        os.truncate(file, len(data) - len(lines.pop()))
    rows = [json.loads(line) for line in lines if line]
    digests = pyarrow.array([_digest(row["id"]) for row in rows], pyarrow.binary(16))
    is_error = pyarrow.array([row["error"] is not None for row in rows], pyarrow.bool_())
    n_tokens = pyarrow.array([row["completion_tokens"] for row in rows], pyarrow.int64())
    yield pyarrow.table({"digest": digests, "is_error": is_error, "n_tokens": n_tokens})
