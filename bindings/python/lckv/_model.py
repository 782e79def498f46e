"""Models: weights, layer plan and tokenizer."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import _declarations as c
from ._buffers import shown
from ._calls import Call, Progress, interruptible
from ._detokenizer import Detokenizer, detokenize_flags
from ._errors import InvalidArgument, check
from ._handles import Handle, Reference
from ._library import library
from ._plan import Plan
from ._pool import Pool
from ._structs import Path, Text, choice, encoded, name_of, new, number, path_bytes, read, written
from ._tokens import Tokens, token_array, written_tokens

if TYPE_CHECKING:
    from typing_extensions import Buffer, Unpack

    from ._cache import Cache, CacheOptions

PRECISIONS = {"default": c.LCKV_PRECISION_DEFAULT, "full": c.LCKV_PRECISION_FULL, "fast": c.LCKV_PRECISION_FAST}
GEMMS = {"default": c.LCKV_GEMM_DEFAULT, "own": c.LCKV_GEMM_OWN, "openblas": c.LCKV_GEMM_OPENBLAS}
WEIGHTS = {
    "default": c.LCKV_WEIGHTS_DEFAULT,
    "copied": c.LCKV_WEIGHTS_COPIED,
    "streamed": c.LCKV_WEIGHTS_STREAMED,
    "none": c.LCKV_WEIGHTS_NONE,
}
TOKEN_TYPES = {
    "normal": c.LCKV_TOKEN_NORMAL,
    "unknown": c.LCKV_TOKEN_UNKNOWN,
    "control": c.LCKV_TOKEN_CONTROL,
    "user_defined": c.LCKV_TOKEN_USER_DEFINED,
    "unused": c.LCKV_TOKEN_UNUSED,
    "byte": c.LCKV_TOKEN_BYTE,
}


@dataclass(frozen=True)
class ModelInfo:
    """What lckv.h says of lckv_model_info: the numbers of a model."""

    n_layers: int
    n_vocab: int
    hidden_size: int
    intermediate_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    context_length: int
    """The tokens that the model was trained for; not a limit."""
    sliding_window: int
    """The tokens that windowed layers attend to; 0 if there are none."""
    forward_passes: int
    backward_passes: int
    use_sequential: bool
    force_nodiag: bool
    has_tokenizer: bool
    is_tied: bool
    """The output matrix is the token embedding."""
    precision: str
    rope_theta: float
    rms_norm_eps: float
    n_parameters: int
    weight_bytes: int
    architecture: str
    name: str
    kernel_set: str
    """The kernels in use: "portable", "avx2", ..."""
    weight_dtypes: str
    """Element types, most bytes first: "q8_0, f32"."""
    is_mapped: bool
    is_repacked: bool
    decode_bytes: int
    """Bytes of weights that decoding one token reads."""
    resident_bytes: int
    ring_bytes: int
    problem: Optional[str]
    """After an open with weights="none": why the model would not run; None if nothing speaks against it."""
    has_weights: bool
    is_table_mapped: bool
    table_bytes: int


@dataclass(frozen=True)
class ModelLayer:
    """The shape of one layer."""

    n_kv_heads: int
    head_dim: int
    intermediate_size: int


@dataclass(frozen=True)
class TokenInfo:
    """A token's bytes and its type: "normal", "unknown", "control", "user_defined", "unused" or "byte"."""

    text: bytes
    type: str


def log_callback(call: Call, log: Optional[Callable[[str], Any]]) -> Any:
    """The library's log callback. An exception in it ends the call at the next progress."""

    if log is None:
        return c.lckv_log_callback()
    write = log

    def callback(_user: Optional[int], text: int, length: int) -> None:
        call.guard(lambda: write(ctypes.string_at(text, length).decode("utf-8", "replace")))

    return c.lckv_log_callback(callback)


class Model(Handle):
    """A model that is open: immutable, and shared by any number of threads and caches.

        >>> model = lckv.Model("model.gguf")
        >>> model.info.n_layers, str(model.plan)
        >>> model.tokenize("Once upon a time")

    `path` is a GGUF file (of a split model the first part) or a Hugging Face directory. Options, all of which may be
    left out:

    - `kernel_set`: one of `kernel_sets`; the fastest that this processor can run
    - `precision`: "fast", or "full": activations and sums are float32
    - `gemm`: "own" or "openblas"
    - `sliding_window`: tokens that windowed layers attend to, if not what the file says
    - `weights`: "copied" into memory; "streamed" for packed files that are larger than memory, through a ring of
      `stream_bytes`; "none" to look at text, metadata and plan only
    - `rope_context`: for models whose rotation depends on the length of the text, for how many tokens it is
    - `pool`: a `Pool` whose threads read the weights
    - `log`: is called with remarks about what is not used of the file
    - `progress`: is called with the bytes of weights that are read, and how many there are

    What `log` and `progress` raise ends the open and comes out of it.
    """

    _kind = "model"
    _path = ""

    def __init__(
        self,
        path: Path,
        *,
        kernel_set: Optional[str] = None,
        precision: Optional[str] = None,
        gemm: Optional[str] = None,
        sliding_window: int = 0,
        weights: Optional[str] = None,
        stream_bytes: int = 0,
        rope_context: int = 0,
        pool: Optional[Pool] = None,
        log: Optional[Callable[[str], Any]] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        name = path_bytes(path)
        self._path = os.fsdecode(name)
        self._open(
            lambda options, model: int(library.lckv_model_open(name, options, model)),
            pool,
            log,
            progress,
            kernel_set=None if kernel_set is None else encoded(kernel_set),
            precision=choice("precision", precision, PRECISIONS),
            gemm=choice("gemm", gemm, GEMMS),
            sliding_window=sliding_window,
            weights=choice("weights", weights, WEIGHTS),
            stream_bytes=stream_bytes,
            rope_context=rope_context,
        )

    @classmethod
    def from_bytes(
        cls,
        data: Buffer,
        *,
        kernel_set: Optional[str] = None,
        precision: Optional[str] = None,
        gemm: Optional[str] = None,
        sliding_window: int = 0,
        weights: Optional[str] = None,
        rope_context: int = 0,
        pool: Optional[Pool] = None,
        log: Optional[Callable[[str], Any]] = None,
        progress: Optional[Progress] = None,
    ) -> Model:
        """Opens the bytes of a GGUF file: bytes, a mapped file, or any other buffer, which is not copied as a whole.

        The model does not need them afterwards.
        """

        made = cls.__new__(cls)

        def open_it(options: Any, model: Any) -> int:
            with shown(data) as (address, length):
                return int(library.lckv_model_open_memory(address, length, options, model))

        made._open(
            open_it,
            pool,
            log,
            progress,
            kernel_set=None if kernel_set is None else encoded(kernel_set),
            precision=choice("precision", precision, PRECISIONS),
            gemm=choice("gemm", gemm, GEMMS),
            sliding_window=sliding_window,
            weights=choice("weights", weights, WEIGHTS),
            rope_context=rope_context,
        )
        return made

    def _open(
        self,
        open_it: Callable[[Any, Any], int],
        pool: Optional[Pool],
        log: Optional[Callable[[str], Any]],
        progress: Optional[Progress],
        **members: Any,
    ) -> None:
        call = Call(tell=progress)
        threads = None if pool is None else pool._handle
        options = new(
            c.lckv_model_options,
            log=log_callback(call, log),
            progress=call.progress,
            pool=None if threads is None else threads.address,
            **members,
        )
        model = ctypes.c_void_p()

        def work() -> None:
            check(open_it(options, ctypes.byref(model)))
            self._own(model.value)

        interruptible(call, work)

    # ---- What it is ----

    @property
    def info(self) -> ModelInfo:
        """The numbers of the model, and where its weights are."""

        handle = self._handle
        info = new(c.lckv_model_info)
        check(library.lckv_model_get_info(handle, info))
        return read(ModelInfo, info, precision=name_of(info.precision, PRECISIONS))

    @property
    def layers(self) -> List[ModelLayer]:
        """The shape of each layer."""

        made = []
        for i in range(self.info.n_layers):
            layer = new(c.lckv_model_layer)
            check(library.lckv_model_get_layer(self._handle, i, layer))
            made.append(ModelLayer(layer.kv_shape.n_kv_heads, layer.kv_shape.head_dim, layer.intermediate_size))
        return made

    @property
    def plan(self) -> Optional[Plan]:
        """The layer plan; None if weights="none" and it could not be understood."""

        handle = self._handle
        plan = library.lckv_model_plan(handle)
        return None if plan is None else Plan._retained(plan)

    @property
    def fingerprint(self) -> int:
        """A number that tells models apart by their weights, whatever file they are in."""

        found = ctypes.c_uint64()
        check(library.lckv_model_fingerprint(self._handle, ctypes.byref(found)))
        return found.value

    @property
    def metadata(self) -> Metadata:
        """What the file says of the model: GGUF keys, or members of config.json, as a read-only mapping of texts."""

        return Metadata(self._handle)

    # ---- Text ----

    def tokenize(self, text: Text, *, bos: Optional[bool] = None, special: bool = True) -> List[int]:
        """The tokens of a text.

        Without `bos` the model's own rule holds, which may add tokens at the beginning and at the end. True begins
        with BOS and adds nothing at the end; False adds nothing at all. With `special` False, text that spells a
        control token stays text: use it for what users write.
        """

        flags = 0 if special else c.LCKV_TOKENIZE_NO_SPECIAL
        if bos is not None:
            flags |= c.LCKV_TOKENIZE_BOS if bos else c.LCKV_TOKENIZE_NO_BOS
        data = encoded(text)
        return written_tokens(library.lckv_tokenize, self._handle, data, len(data), flags, guess=len(data) + 8)

    def detokenize(self, tokens: Tokens, *, special: bool = False, continues: bool = False) -> str:
        """The text of tokens. The options are those of `Detokenizer`; bytes that are no UTF-8 become U+FFFD."""

        return self.detokenize_bytes(tokens, special=special, continues=continues).decode("utf-8", "replace")

    def detokenize_bytes(self, tokens: Tokens, *, special: bool = False, continues: bool = False) -> bytes:
        """The bytes of tokens, whatever they are."""

        array = token_array(tokens)
        flags = detokenize_flags(special, continues)
        return written(library.lckv_detokenize, self._handle, *array.buffer_info(), flags)

    def detokenizer(self, *, special: bool = False, continues: bool = False) -> Detokenizer:
        """A `Detokenizer`, for tokens that come one by one."""

        return Detokenizer(self, special=special, continues=continues)

    def token(self, token: int) -> TokenInfo:
        """What a token is."""

        handle = self._handle
        number(ctypes.c_int32, "token", token)
        text, length, kind = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_int32()
        check(library.lckv_model_token(handle, token, ctypes.byref(text), ctypes.byref(length), ctypes.byref(kind)))
        piece = ctypes.string_at(text.value, length.value) if text.value else b""
        return TokenInfo(piece, name_of(kind.value, TOKEN_TYPES))

    def _special(self, special: int) -> Optional[int]:
        token = int(library.lckv_model_special_token(self._handle, special))
        return token if token >= 0 else None

    @property
    def bos(self) -> Optional[int]:
        """The token that begins a text, or None."""

        return self._special(c.LCKV_SPECIAL_BOS)

    @property
    def eos(self) -> Optional[int]:
        """The token that ends a text, or None."""

        return self._special(c.LCKV_SPECIAL_EOS)

    @property
    def eot(self) -> Optional[int]:
        """The token that ends a turn, or None."""

        return self._special(c.LCKV_SPECIAL_EOT)

    @property
    def unknown(self) -> Optional[int]:
        """The token of text that has no other, or None."""

        return self._special(c.LCKV_SPECIAL_UNKNOWN)

    @property
    def padding(self) -> Optional[int]:
        """The token that fills up batches, or None."""

        return self._special(c.LCKV_SPECIAL_PADDING)

    def is_end(self, token: int) -> bool:
        """Whether this token ends generation."""

        return bool(library.lckv_model_is_end_token(self._handle, number(ctypes.c_int32, "token", token)))

    def prompt(self, text: Text, *, begins: bool = True) -> List[int]:
        """The tokens of a prompt: with BOS if the model begins texts so and this one `begins`; nothing at the end."""

        adds_bos = begins and self.bos is not None and self.tokenize("")[:1] == [self.bos]
        return self.tokenize(text, bos=adds_bos)

    def _begins_text(self, last: int) -> bool:
        """Whether the text of tokens behind this one begins anew, so that the space that tokenizers put there goes."""

        if last == self.bos:
            return True
        info = self.token(last)
        if info.type != "control":
            return False
        probe = self.tokenize(info.text + b"a", bos=False)
        return probe[:1] == [last] and self.detokenize_bytes(probe[1:], continues=True)[:1] == b" "

    # ---- Conversations ----

    def chat(
        self,
        messages: Iterable[Message],
        *,
        answer: bool = True,
        tools: Optional[List[Any]] = None,
        **names: Any,
    ) -> List[int]:
        """The tokens of a conversation, written as the model's chat template writes it.

            >>> model.chat([{"role": "user", "content": "Tell me a story."}])

        A message is a mapping with `role` and `content`, or such a pair. With `answer`, the assistant's answer is
        opened. What the template writes may become special tokens; what messages say never does, so a message that
        spells "<|im_end|>" cannot end its turn.

        The library understands the templates of most models. Others, and messages with more than a role and a
        content, `tools` and further `names` that a template asks for are written by Jinja, if it is installed
        (``pip install lckv[chat]``), in a sandbox. Raises `Unsupported` if there is no template, or if what messages
        say cannot be told apart from what the template writes.
        """

        from . import _chat

        return _chat.tokens(self, list(messages), answer, tools, names)

    def chat_text(
        self,
        messages: Iterable[Message],
        *,
        answer: bool = True,
        tools: Optional[List[Any]] = None,
        **names: Any,
    ) -> str:
        """The same conversation as text, for people to look at. Do not tokenize it: use `chat`."""

        from . import _chat

        return _chat.text(self, list(messages), answer, tools, names)

    # ---- What is made from it ----

    def cache(self, **options: Unpack[CacheOptions]) -> Cache:
        """``Cache(model, **options)``."""

        from ._cache import Cache

        return Cache(self, **options)

    def _describe(self) -> str:
        info = self.info
        return f"{info.name or info.architecture!r}, {info.n_layers} layers, {info.weight_dtypes}"


Message = Union[Mapping[str, Any], Tuple[str, str]]


class Metadata(Mapping[str, str]):
    """A model's metadata; keys and values are texts, arrays are JSON."""

    def __init__(self, handle: Reference) -> None:
        self._handle = handle

    def __getitem__(self, key: str) -> str:
        try:
            return written(library.lckv_model_metadata, self._handle, encoded(key)).decode("utf-8", "replace")
        except InvalidArgument:
            raise KeyError(key) from None

    def _keys(self) -> List[str]:
        keys: List[str] = []
        while True:
            key = library.lckv_model_metadata_key(self._handle, len(keys))
            if key is None:
                return keys
            keys.append(key.decode("utf-8", "surrogateescape"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __repr__(self) -> str:
        return f"<lckv.Metadata of {len(self)} keys>"
