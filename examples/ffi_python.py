#!/usr/bin/env python3
"""lckv from Python through ctypes, without any package.

    python3 ffi_python.py MODEL [LIBRARY]

LIBRARY is liblckv.so.0 where the system finds it, or a path such as build/liblckv.so.
"""

import ctypes as c
import sys


class GenerateOptions(c.Structure):
    """lckv_generate_options: zero in any member means its default."""

    Callback = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_int32, c.POINTER(c.c_char), c.c_size_t)
    _fields_ = [
        ("size", c.c_size_t),
        ("max_tokens", c.c_uint64),
        ("stops", c.c_void_p),
        ("n_stops", c.c_size_t),
        ("ignore_end", c.c_int32),
        ("prefill", c.c_int32),
        ("callback", Callback),
        ("callback_user", c.c_void_p),
    ]


def main():
    model_path = sys.argv[1] if len(sys.argv) > 1 else "examples/models/stories-lckv-q8_0.gguf"
    lckv = c.CDLL(sys.argv[2] if len(sys.argv) > 2 else "liblckv.so.0")
    lckv.lckv_last_error.restype = c.c_char_p
    for name in ("model", "cache", "session"):
        release = getattr(lckv, f"lckv_{name}_release")
        release.argtypes, release.restype = [c.c_void_p], None

    def check(status):
        if status != 0:
            sys.exit(lckv.lckv_last_error().decode())

    model, cache, session = c.c_void_p(), c.c_void_p(), c.c_void_p()
    check(lckv.lckv_model_open(model_path.encode(), None, c.byref(model)))
    check(lckv.lckv_cache_create(model, None, c.byref(cache)))
    check(lckv.lckv_session_create(cache, c.byref(session)))

    prompt = "Once upon a time".encode()
    sys.stdout.write(prompt.decode())
    tokens, n = (c.c_int32 * 64)(), c.c_size_t()
    check(lckv.lckv_tokenize(model, prompt, c.c_size_t(len(prompt)), c.c_uint32(0), tokens,
                             c.c_size_t(64), c.byref(n)))

    @GenerateOptions.Callback
    def write(_user, _token, text, length):
        sys.stdout.write(c.string_at(text, length).decode(errors="replace"))
        return 0

    options = GenerateOptions(size=c.sizeof(GenerateOptions), max_tokens=48, callback=write)
    check(lckv.lckv_generate(session, None, tokens, n, c.byref(options), None))
    print()
    for name, handle in (("session", session), ("cache", cache), ("model", model)):
        getattr(lckv, f"lckv_{name}_release")(handle)


if __name__ == "__main__":
    main()
