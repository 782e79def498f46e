"""lckv-server MODEL: answers requests over HTTP."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import resource
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from .. import Error, Model, __version__, request_tiles, version

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEY_VARIABLE = "LCKV_API_KEY"
OPEN = (
    "lckv-server: whoever reaches this address may use it, and so may any web page that they look at; "
    "--api-key-file and --allow-host say who may"
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="lckv-server",
        description="Serves a model over HTTP: the APIs of OpenAI and Anthropic, and a page at /.",
        epilog=f"The API key may be in the environment, too: {KEY_VARIABLE}. See docs/http-server.md.",
    )
    made.add_argument("--version", action="version", version=f"lckv {__version__}, library {version()}")
    made.add_argument("model", help="a GGUF file or a Hugging Face directory")
    made.add_argument("--name", action="append", metavar="NAME", help="what clients call the model; may be repeated")
    made.add_argument("--chat-template", metavar="FILE", help="a Jinja template instead of the model's own")

    engine = made.add_argument_group("computing")
    engine.add_argument("--memory", metavar="SIZE", help="for keys and values, 8GiB say (half of what is free)")
    engine.add_argument("--threads", type=int, default=0, metavar="N", help="threads that compute (all cores)")
    engine.add_argument("--max-sessions", type=int, metavar="N", help="answers that are computed together (64)")
    engine.add_argument("--max-queue", type=int, default=256, metavar="N", help="requests that wait (256)")
    engine.add_argument("--kv-type", metavar="TYPE", help="of keys and values: f32, f16, bf16, q8_0, q4_0 (f16)")

    access = made.add_argument_group("access")
    access.add_argument("--host", default="127.0.0.1", help="the address to listen at (127.0.0.1: this machine only)")
    access.add_argument("--port", type=int, default=8080, help="0 takes any that is free (8080)")
    access.add_argument("--api-key-file", metavar="FILE", help="clients must know the key that is in this file")
    access.add_argument(
        "--allow-host", action="append", metavar="NAME", help="a name of this server, so that others are refused"
    )
    access.add_argument(
        "--allow-origin", action="append", default=[], metavar="URL", help="web pages of others that may ask; * is any"
    )

    limits = made.add_argument_group("limits")
    limits.add_argument("--max-body", type=int, default=4, metavar="MIB", help="of a request (4)")
    limits.add_argument("--max-messages", type=int, default=1024, metavar="N", help="of a conversation (1024)")
    limits.add_argument("--max-tokens", type=int, default=4096, metavar="N", help="of an answer (4096)")
    limits.add_argument("--max-choices", type=int, default=16, metavar="N", help="answers to a request (16)")
    limits.add_argument("--max-seconds", type=float, default=600, metavar="S", help="for an answer (600)")
    limits.add_argument("--end-seconds", type=float, default=60, metavar="S", help="for answers when it ends (60)")
    made.add_argument("--log", action="store_true", help="write a line for each request")
    return made


def key_of(file: Optional[str]) -> Optional[str]:
    """The API key; an empty one is a mistake, and not no key."""

    if file is None and KEY_VARIABLE not in os.environ:
        return None
    key = os.environ[KEY_VARIABLE] if file is None else Path(file).read_text(encoding="utf-8").strip()
    if not key:
        raise ValueError(f"the API key in {file or KEY_VARIABLE} is empty")
    return key


def hosts_of(host: str, allowed: Optional[Sequence[str]]) -> Optional[Tuple[str, ...]]:
    """The names that clients may call this server by; None is any."""

    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(host).is_loopback and not allowed:
            return None
    names = (*LOOPBACK, host, *(allowed or ()))
    return tuple(dict.fromkeys(name.lower().strip("[]") for name in names))


def settings_of(options: argparse.Namespace) -> Any:
    from . import Limits, Settings

    limits = Limits(
        body_bytes=options.max_body << 20,
        all_bodies_bytes=max(64, 2 * options.max_body) << 20,
        messages=options.max_messages,
        answer_tokens=options.max_tokens,
        choices=options.max_choices,
        answer_parts=max(Limits.answer_parts, options.max_tokens * options.max_choices),
        answer_seconds=options.max_seconds,
        ending_seconds=options.end_seconds,
    )
    template = None
    if options.chat_template is not None:
        template = Path(options.chat_template).read_text(encoding="utf-8")
    return Settings(
        names=tuple(options.name or [Path(options.model).resolve().name.replace(".gguf", "")]),
        limits=limits,
        key=key_of(options.api_key_file),
        hosts=hosts_of(options.host, options.allow_host),
        origins=tuple(options.allow_origin),
        template=template,
    )


def cache_options(options: argparse.Namespace) -> Dict[str, Any]:
    made: Dict[str, Any] = {"n_threads": options.threads, "kv_dtype": options.kv_type}
    if options.max_sessions is not None:
        made["max_sessions"] = options.max_sessions
    return made


def allow_many_files() -> None:
    """Connections are files, and the usual limit of them is low for the sake of programs that this is not."""

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(65536, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def run(options: argparse.Namespace) -> int:
    from .. import Engine
    from . import application, listen, server

    settings = settings_of(options)
    allow_many_files()
    request_tiles()
    with listen(options.host, options.port) as socket, Model(options.model) as model:
        engine = Engine(model, options.memory, max_queue=options.max_queue, **cache_options(options))
        try:
            app = application(engine, settings)
            host, port = socket.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            if settings.hosts is None and settings.key is None:
                print(OPEN, file=sys.stderr)
            print(f"lckv-server: {settings.names[0]} at http://{host}:{port}", flush=True)
            level = "info" if options.log else "warning"
            server(app, settings.limits, level, options.log, engine).run(sockets=[socket])
        finally:
            engine.close(finish=False)
    if engine.failure is not None:
        print(f"lckv-server: the engine has failed: {engine.failure!r}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except (Error, OSError, ValueError) as error:
        print(f"lckv-server: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
