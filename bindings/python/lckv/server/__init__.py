"""An HTTP server for one model: OpenAI's and Anthropic's APIs, and a page to look at it.

    lckv-server model.gguf

or in a program, in whatever serves ASGI:

    import lckv.server

    engine = lckv.Engine(lckv.Model("model.gguf"), memory="8GiB")
    app = lckv.server.application(engine, lckv.server.Settings(names=("my-model",)))

`_routes` has the paths. `_openai_chat`, `_openai_text` and `_anthropic` read requests, functions between JSON and
what `_asks` describes, which neither wait nor compute; `_answers` submits it to the engine and waits.
"""

try:
    from ._application import application
    from ._serving import listen, server
    from ._settings import Limits, Settings
except ModuleNotFoundError as error:
    raise ImportError(f"{error}: the server needs more, pip install lckv[server]") from error

__all__ = ["Limits", "Settings", "application", "listen", "server"]
