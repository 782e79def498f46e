"""python -m lckv MODEL: a conversation in the terminal, or a prompt that goes on."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import List, Optional, Sequence, Tuple

from . import (
    Cache,
    Error,
    Model,
    OutOfWindow,
    Sampler,
    Session,
    Unsupported,
    __version__,
    kernel_sets,
    request_tiles,
    version,
)

HELP = """/reset begins a new conversation, /exit or Ctrl-D ends, Ctrl-C stops an answer."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m lckv",
        description="Chats with a model. With --prompt, or if the model has no chat template, it continues a text.",
    )
    sets = " ".join(name if runs else f"({name})" for name, runs in kernel_sets().items())
    made.add_argument("--version", action="version", version=f"lckv {__version__}, library {version()}, kernels {sets}")
    made.add_argument("model", help="a GGUF file or a Hugging Face directory")
    made.add_argument("-p", "--prompt", help="continue this text and end; - reads it from standard input")
    made.add_argument("-n", "--tokens", type=int, metavar="N", help="tokens of an answer (512), or of a text (256)")
    made.add_argument("-s", "--system", help="what the system message says")
    made.add_argument("-c", "--context", type=int, default=4096, metavar="N", help="tokens of a conversation (4096)")
    made.add_argument("--temp", type=float, default=0.0, metavar="T", help="0 takes the most likely token (0)")
    made.add_argument("--top-p", type=float, default=0.0, metavar="P", help="keep tokens of this probability together")
    made.add_argument("--top-k", type=int, default=0, metavar="K", help="keep the K most likely tokens")
    made.add_argument("--seed", type=int, default=0, metavar="N")
    made.add_argument("--threads", type=int, default=0, metavar="N", help="threads that compute (all cores)")
    return made


def write(session: Session, prompt: object, n_tokens: int, sampler: Sampler) -> Tuple[str, Optional[str]]:
    """Shows what the model says, and gives it, with the reason of its end. Ctrl-C ends it."""

    generation = session.generate(prompt, max_tokens=n_tokens, sampler=sampler)  # type: ignore[arg-type]
    with contextlib.suppress(KeyboardInterrupt):
        for piece in generation:
            print(piece.text, end="", flush=True)
    return generation.text, generation.reason


def continue_text(cache: Cache, prompt: str, n_tokens: int, sampler: Sampler) -> None:
    print(prompt, end="", flush=True)
    write(cache.session(), prompt, n_tokens, sampler)
    print()


class Conversation:
    """Messages, and the session that has encoded them as far as it goes."""

    def __init__(self, cache: Cache, system: Optional[str]) -> None:
        self._cache = cache
        self._model = cache.model
        self._first = [{"role": "system", "content": system}] if system else []
        self.messages = list(self._first)
        self._session = cache.session()

    def reset(self) -> None:
        self.messages = list(self._first)

    def say(self, line: str, n_tokens: int, sampler: Sampler) -> None:
        self.messages.append({"role": "user", "content": line})
        try:
            tokens = self._model.chat(self.messages)
            n = self._go_back(tokens)
            sampler.reset()
            text, reason = write(self._session, tokens[n:], n_tokens, sampler)
        except Error:
            self.messages.pop()
            raise
        self.messages.append({"role": "assistant", "content": text})
        print()
        if reason == "full":
            print("the conversation fills its context; /reset begins anew, --context makes it larger", file=sys.stderr)

    def _go_back(self, tokens: List[int]) -> int:
        """Takes the session back to what it has in common with these tokens, and tells how many they are."""

        try:
            encoded = self._session.tokens
            n = next((i for i, (a, b) in enumerate(zip(encoded, tokens)) if a != b), min(len(encoded), len(tokens)))
            n = min(n, len(tokens) - 1)
            self._session.truncate(n)
        except OutOfWindow:
            self._session.truncate(0)
            n = 0
        return n


def talk(cache: Cache, system: Optional[str], n_tokens: int, sampler: Sampler) -> int:
    conversation = Conversation(cache, system)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (input has history and editing then)
        print(HELP, file=sys.stderr)
    while True:
        try:
            line = input("> " if is_terminal else "")
        except EOFError:
            return 0
        except KeyboardInterrupt:
            if not is_terminal:
                raise
            print()
            continue
        if line == "/exit":
            return 0
        if line == "/reset":
            conversation.reset()
        elif line:
            try:
                conversation.say(line, n_tokens, sampler)
            except Error as error:
                print(error, file=sys.stderr)
                if not is_terminal:
                    return 1


def can_chat(model: Model) -> bool:
    try:
        model.chat([{"role": "user", "content": "Hello"}])
    except (Unsupported, ImportError):
        return False
    return True


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parser().parse_args(arguments)
    prompt: Optional[str] = options.prompt
    request_tiles()
    try:
        model = Model(options.model)
        sampler = Sampler(options.temp, top_p=options.top_p, top_k=options.top_k, seed=options.seed)
        cache = Cache(model, n_tokens=options.context, max_sessions=1, n_threads=options.threads)
        if prompt is None and can_chat(model):
            return talk(cache, options.system, options.tokens or 512, sampler)
        if prompt is None and sys.stdin.isatty():
            print(f"{options.model} has no chat template; give a text to continue with --prompt", file=sys.stderr)
            return 2
        text = sys.stdin.read() if prompt is None or prompt == "-" else prompt
        continue_text(cache, text, options.tokens or 256, sampler)
    except Error as error:
        print(f"python -m lckv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
