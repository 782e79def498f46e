"""What the server makes of JSON, and what JSON it makes, without a server."""

import json
import time
import unittest

from server_support import needs_server
from support import model

import lckv

try:
    from lckv.server import _anthropic, _asks, _fields, _openai, _openai_chat, _openai_text, _parts, _tools, _wire
    from lckv.server._problems import Problem
    from lckv.server._settings import Limits
except ImportError:  # needs_server tells
    pass

CALL = '{"name": "look", "arguments": {"at": "x {"}}'
HI = [{"role": "user", "content": "hi"}]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def read(**members):
    return _fields.parse(json.dumps(members).encode())


class Cases(unittest.TestCase):
    def refuses(self, words, work, *arguments, **members):
        with self.assertRaisesRegex(Problem, words) as caught:
            work(*arguments, **members)
        return caught.exception


@needs_server
class Bodies(Cases):
    def test_what_is_no_json(self):
        for body, words in (
            (b"", "no JSON"),
            (b"{", "no JSON"),
            (b'{"a": NaN}', "NaN is no JSON"),
            (b'{"a": -Infinity}', "no JSON"),
            (b"\xff\xfe{}", "no UTF-8: byte 0 is 0xff"),
            (b'{"a": "\xc3("}', "no UTF-8"),
            (b"[1]", "an array; expected a JSON object"),
            (b"12", "12; expected"),
            (b'{"a": "\\ud800"}', "surrogates"),
            (b"[" * 200000, "nested"),
            (b'{"a":' * 200000, "nested"),
            (b'{"a": ' + b"9" * 5000 + b"}", "no JSON|expected"),
        ):
            with self.subTest(body=body[:20]):
                try:
                    found = _fields.parse(body)
                except Problem as problem:
                    self.assertRegex(problem.text, words)
                    self.assertEqual(problem.status, 400)
                else:  # Pythons before 3.11 read numbers of any length
                    self.refuses(words, found.number, "a", 0, 0, 1)

    def test_pairs_of_surrogates(self):
        self.assertEqual(_fields.parse(b'{"a": "\\ud83d\\ude00"}').text("a", ""), "\U0001f600")

    def test_members(self):
        found = read(a=1, b=True, c="x", d=1.5, e=[], f={}, g=None, h=2.0)
        self.assertEqual((found.integer("a", 0, 0), found.integer("h", 0, 0), found.integer("g", 7, 0)), (1, 2, 7))
        for words, work, *arguments in (
            ("b is true or false; expected an integer from 0 to 3", found.integer, "b", 0, 0, 3),
            ("a is 1; expected an integer of at least 2", found.integer, "a", 0, 2),
            ("d is 1.5; expected an integer", found.integer, "d", 0, 0),
            ("d is 1.5; expected a number from 0 to 1", found.number, "d", 0, 0, 1),
            ("c is a string; expected a number", found.number, "c", 0, 0, 1),
            ("a is 1; expected a string", found.text, "a", ""),
            ("a is 1; expected true or false", found.flag, "a"),
            ("f is an object; expected an array", found.array, "f"),
            ("e is an array; expected an object", found.object, "e"),
            ('c is "x"; expected "y" or "z"', found.word, "c", ("y", "z"), "y"),
            ("g is missing", found.need, "a", "g"),
            ("a is 1; expected a string or an array", found.texts, "a", 3),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.refuses(words, work, *arguments).param, words[0])

    def test_places(self):
        found = read(messages=[{"role": "user", "content": [{"type": "text", "text": 3}]}])
        problem = self.refuses("is 3; expected a string", _openai_chat.read_messages, found, Limits())
        self.assertEqual(problem.param, "messages[0].content[0].text")


@needs_server
class OpenAI(Cases):
    def chat(self, **members):
        return _openai_chat.chat_ask(read(**{"messages": HI, **members}), Limits())

    def text(self, **members):
        return _openai_text.text_ask(read(**{"prompt": "a", **members}), Limits())

    def test_options(self):
        ask = self.chat(
            max_tokens=5, stop="x", n=2, temperature=0, top_p=0.5, top_k=-1, min_p=0.1, seed=-3, logprobs=True,
            top_logprobs=4, logit_bias={"12": -100}, frequency_penalty=1, presence_penalty=-1, repetition_penalty=1.2,
            stream=True, stream_options={"include_usage": True}, unknown=1, chat_template_kwargs={"thinking": False},
        )  # fmt: skip
        self.assertEqual((ask.stream, ask.include_usage, ask.names), (True, True, {"thinking": False}))
        options = _openai.options_of(ask.sampling)
        self.assertEqual(options, {
            "max_tokens": 5, "stop": ("x",), "n": 2, "temperature": 0, "top_k": 0, "top_p": 0.5, "min_p": 0.1,
            "seed": -3, "repetition_penalty": 1.2, "frequency_penalty": 1, "presence_penalty": -1,
            "logit_bias": {12: -100}, "logprobs": 4, "ignore_end": False,
        })  # fmt: skip
        self.assertEqual(self.chat(max_tokens=3, max_completion_tokens=7).sampling.max_tokens, 7)
        self.assertEqual(self.chat(max_tokens=10**6).sampling.max_tokens, Limits().answer_tokens)
        self.assertEqual(self.chat().sampling.temperature, 1)
        self.assertEqual(self.text().sampling.max_tokens, 16)

    def test_refusals(self):
        for words, members in (
            ("messages is missing", {"messages": None}),
            ("messages is an array of 0; expected from 1", {"messages": []}),
            ("messages is an array of 1025; expected from 1 to 1024", {"messages": HI * 1025}),
            (r"messages\[0\] is a string; expected an object", {"messages": ["hi"]}),
            (r"messages\[0\].role is missing", {"messages": [{"content": "a"}]}),
            (r'messages\[0\].role is "robot"; expected "system", ', {"messages": [{"role": "robot", "content": "a"}]}),
            (r"messages\[0\].content is missing", {"messages": [{"role": "user"}]}),
            ("takes text only", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            ("temperature is 2.5; expected a number from 0 to 2", {"temperature": 2.5}),
            ("n is 17; expected an integer from 1 to 16", {"n": 17}),
            ("n is 0;", {"n": 0}),
            ("stop is an array of 17", {"stop": ["a"] * 17}),
            ("stop is an empty string", {"stop": [""]}),
            ("logit_bias.x is no number of a token", {"logit_bias": {"x": 1}}),
            ("logit_bias.1 is 200; expected", {"logit_bias": {"1": 200}}),
            ("with 1025 members; expected at most 1024", {"logit_bias": {str(i): 1 for i in range(1025)}}),
            ("top_logprobs needs logprobs", {"top_logprobs": 2}),
            ("functions: use tools", {"functions": [{}]}),
            ("response_format.type is", {"response_format": {"type": "xml"}}),
            ("response_format.json_schema is missing", {"response_format": {"type": "json_schema"}}),
            ("cannot be joined with tools", {"response_format": {"type": "json_object"}, "tools": [LOOK]}),
            (r"tools\[0\].function is missing", {"tools": [{"type": "function"}]}),
            (r'tools\[0\].type is "web"', {"tools": [{"type": "web"}]}),
            ("tool_choice.function.name", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
            ('"required" needs tools', {"tool_choice": "required"}),
            ("arguments is no JSON object", {"messages": [
                {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "["}}]}]}),
        ):  # fmt: skip
            with self.subTest(words=words):
                self.refuses(words, self.chat, **members)
        for words, members in (
            ("prompt is missing", {"prompt": None}),
            ("prompt is empty", {"prompt": []}),
            (r"prompt\[1\] is 3; expected", {"prompt": ["a", 3]}),
            ("prompt is an object", {"prompt": {}}),
            ("prompt is an array of 17", {"prompt": 17 * ["a"]}),
            ("8 prompts with 3 answers each", {"prompt": 8 * ["a"], "n": 3}),
            ("best_of is 2", {"best_of": 2}),
            ("suffix: this server", {"suffix": "a"}),
            ("max_tokens is 0; expected at least 1, or echo", {"max_tokens": 0}),
        ):
            with self.subTest(words=words):
                self.refuses(words, self.text, **members)

    def test_prompts(self):
        self.assertEqual(self.text(prompt=["a", "b"]).prompts, ["a", "b"])
        self.assertEqual(self.text(prompt=[1, 2]).prompts, [[1, 2]])
        self.assertEqual(self.text(prompt=[[1, 2], [3]]).prompts, [[1, 2], [3]])

    def test_messages(self):
        rows = [
            {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
            {"role": "user", "content": "hi", "name": "Ann"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "7", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]},
            {"role": "tool", "tool_call_id": "7", "content": "red"},
        ]  # fmt: skip
        self.assertEqual(self.chat(messages=rows).messages, [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "7", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}]},
            {"role": "tool", "content": "red", "tool_call_id": "7", "name": "look"},
        ])  # fmt: skip

    def test_tools(self):
        self.assertIsNone(self.chat(tools=[LOOK], tool_choice="none").tools)
        self.assertEqual(self.chat(tools=[LOOK]).tools.forced, ())
        self.assertEqual(self.chat(tools=[LOOK], tool_choice="required").tools.forced, ("look",))
        choice = {"type": "function", "function": {"name": "look"}}
        ask = self.chat(tools=[LOOK], tool_choice=choice, parallel_tool_calls=False)
        self.assertEqual((ask.tools.forced, ask.tools.is_parallel), (("look",), False))
        self.assertEqual(ask.tools.rows, [LOOK])

    def test_schemas(self):
        self.assertIsNone(self.chat(response_format={"type": "text"}).schema)
        self.assertEqual(self.chat(response_format={"type": "json_object"}).schema, {"type": "object"})
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}
        self.assertEqual(self.chat(response_format=form).schema, {"type": "array"})

    def test_models(self):
        self.assertEqual(_openai.check_model(read(), ("a", "b")), "a")
        self.assertEqual(_openai.check_model(read(model="b"), ("a", "b")), "b")
        problem = self.refuses(
            "no model 'c'; this server has 'a', 'b'", _openai.check_model, read(model="c"), ("a", "b")
        )
        self.assertEqual((problem.status, problem.code), (404, "model_not_found"))

    def test_logprobs(self):
        names = {1: (b"a", True), 2: (b"\xc3", True), 3: (b"<s>", False)}
        spell = lambda token: _openai.Spelled(*names[token])  # noqa: E731
        rows = [
            lckv.TokenLogprob(3, None, ()),
            lckv.TokenLogprob(1, -0.5, ((1, -0.5), (2, float("-inf")))),
            lckv.TokenLogprob(2, float("-inf"), ()),
        ]
        made = _openai_text.TextLogprobs(spell).body(rows)
        self.assertEqual(made["tokens"], ["<s>", "a", "bytes:\\xc3"])
        self.assertEqual(made["token_logprobs"], [None, -0.5, -9999.0])
        self.assertEqual(made["top_logprobs"][:2], [None, {"a": -0.5, "bytes:\\xc3": -9999.0}])
        self.assertEqual(made["text_offset"], [0, 0, 1])
        entry = _openai_chat.logprobs_body(spell, rows[1:2])["content"][0]
        self.assertEqual((entry["token"], entry["bytes"], entry["logprob"]), ("a", [97], -0.5))
        self.assertEqual(entry["top_logprobs"][1], {"token": "\ufffd", "bytes": [0xC3], "logprob": -9999.0})

    def test_errors(self):
        body = _wire.error_body("/v1/completions", Problem("no", param="n", code="c"))
        self.assertEqual(body, {"error": {"message": "no", "type": "invalid_request_error", "param": "n", "code": "c"}})
        self.assertEqual(_wire.error_body("/", Problem("no", status=500))["error"]["type"], "server_error")


@needs_server
class Anthropic(Cases):
    def ask(self, **members):
        return _anthropic.chat_ask(read(**{"messages": HI, "max_tokens": 9, **members}), Limits())

    def test_messages(self):
        rows = [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "red"}]},
                {"type": "text", "text": "So?"}]},
        ]  # fmt: skip
        ask = self.ask(system=[{"type": "text", "text": "Be brief."}], messages=rows, stop_sequences=["x"], top_k=3)
        self.assertEqual(ask.messages, [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}]},
            {"role": "tool", "content": "red", "tool_call_id": "t1", "name": "look"},
            {"role": "user", "content": "So?"},
        ])  # fmt: skip
        self.assertEqual((ask.sampling.stop, ask.sampling.top_k, ask.sampling.max_tokens), (("x",), 3, 9))
        ask = self.ask(messages=[*HI, {"role": "assistant", "content": "It is"}])
        self.assertEqual((ask.messages, ask.beginning), ([{"role": "user", "content": "hi"}], "It is"))

    def test_many_blocks_behind_a_long_text_take_little_time(self):
        long = [{"type": "text", "text": "x" * 2_000_000}, *[{"type": "text", "text": "y"}] * 30_000]
        began = time.process_time()
        ask = self.ask(messages=[{"role": role, "content": long} for role in ("user", "assistant", "user")])
        self.assertLess(time.process_time() - began, 3)
        self.assertEqual([len(message["content"]) for message in ask.messages], [2_030_000] * 3)

    def test_tools(self):
        rows = [{"name": "look", "description": "d", "input_schema": {"type": "object"}}]
        row = {"name": "look", "description": "d", "parameters": {"type": "object"}}
        ask = self.ask(tools=rows, tool_choice={"type": "any", "disable_parallel_tool_use": True})
        self.assertEqual(ask.tools.rows, [{"type": "function", "function": row}])
        self.assertEqual((ask.tools.forced, ask.tools.is_parallel), (("look",), False))
        self.assertIsNone(self.ask(tools=rows, tool_choice={"type": "none"}).tools)
        self.assertEqual(self.ask(tools=rows, tool_choice={"type": "tool", "name": "look"}).tools.forced, ("look",))

    def test_refusals(self):
        for words, members in (
            ("max_tokens is missing", {"max_tokens": None}),
            ("messages is an array of 0", {"messages": []}),
            (r'role is "system"; expected "user" or "assistant"', {"messages": [{"role": "system", "content": "a"}]}),
            ("takes text only", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
            (r"content\[0\].id is missing", {"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}),
            ("input_schema is missing", {"tools": [{"name": "a"}]}),
            ("runs no tools itself", {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
            ("tool_choice.name", {"tool_choice": {"type": "tool", "name": "x"}}),
            ("system is 3", {"system": 3}),
        ):
            with self.subTest(words=words):
                self.refuses(words, self.ask, **members)

    def test_errors(self):
        for status, kind in ((400, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error")):
            body = _wire.error_body("/v1/messages", Problem("no", status=status))
            self.assertEqual(body, {"type": "error", "error": {"type": kind, "message": "no"}})


@needs_server
class ToolCalls(Cases):
    """What models write is told apart in the same way however it comes in pieces."""

    def read(self, form, pieces, is_parallel=True):
        reader = _tools.ToolReader(form, ["look", "go"], is_parallel)
        made = [part for piece in pieces for part in reader.push(piece)] + reader.end()
        rows = []
        for part in made:
            if isinstance(part, str) and rows and isinstance(rows[-1], str):
                rows[-1] += part
            else:
                rows.append(part if isinstance(part, str) else (part.name, part.arguments))
        return rows

    def check(self, form, text, expected, **options):
        for n in (1, 2, 3, 7, len(text) or 1):
            pieces = [text[i : i + n] for i in range(0, len(text), n)]
            self.assertEqual(self.read(form, pieces, **options), expected, (text, n))

    def test_forms(self):
        look, go = ("look", {"at": "x {"}), ("go", {})
        h, m, g, a = _tools.HERMES, _tools.MISTRAL, _tools.GRANITE, _tools.LLAMA
        second = '{"name": "go", "arguments": {}}'
        for form, text, expected in (
            (h, f"<tool_call>\n{CALL}\n</tool_call>", [look]),
            (h, f"Well.\n<tool_call>{CALL}</tool_call>\n<tool_call>{second}</tool_call>", ["Well.", look, go]),
            (h, f"<tool_call>{CALL}", [look]),
            (h, f"\n\n<tool_call>[{CALL}, {second}]</tool_call>\n", [look, go]),
            (h, f"<tool_call>{CALL}</tool_call> and so on", [look, " and so on"]),
            (m, f"[TOOL_CALLS][{CALL}, {second}]", [look, go]),
            (m, '[TOOL_CALLS]look[ARGS]{"at": "x {"}[TOOL_CALLS]go[CALL_ID]123456789[ARGS]{}', [look, go]),
            (m, '[TOOL_CALLS]look{"at": "x {"}', [look]),
            (g, f"<|tool_call|>[{CALL}]", [look]),
            (a, CALL.replace("arguments", "parameters"), [look]),
            (a, f"<|python_tag|>{CALL}; {second}", [look, go]),
        ):
            self.check(form, text, expected)

    def test_what_is_no_call_stays_text(self):
        for form, text in (
            (_tools.HERMES, "a < b <tool"),
            (_tools.HERMES, "so \n<tool_call>not json</tool_call> more"),
            (_tools.HERMES, '<tool_call>{"name": 3}</tool_call>'),
            (_tools.HERMES, "<tool_call>"),
            (_tools.HERMES, f'<tool_call>{CALL} {{"x": 1}}</tool_call>'),
            (_tools.MISTRAL, "[TOOL_CALLS] [1, 2"),
            (_tools.LLAMA, '{"name": "unknown", "parameters": {}}'),
            (_tools.LLAMA, '{"a": 1}'),
            (_tools.LLAMA, "  {half"),
            (_tools.LLAMA, " "),
        ):
            self.check(form, text, [text])
        self.check(_tools.HERMES, "", [])

    def test_marks_that_are_control_tokens(self):
        """Texts do not show them, so they are put where their tokens are."""

        marked = _tools.ToolFormat("<|eos|>")
        self.assertEqual(marked.controls(model()), {model().eos: "<|eos|>"})
        self.assertEqual(_tools.HERMES.controls(model()), {})
        reader = _parts.reader_for(_asks.Tools([LOOK]), _tools.MISTRAL, {7: "[TOOL_CALLS]", 8: "[ARGS]"})
        made = []
        for text, token in (("So.", 1), ("", 7), ("look", 2), ("", 8), ("{}", None)):
            made += reader.push(text, token)
        made += reader.end()
        self.assertEqual([made[0], made[1].name, made[1].arguments], ["So.", "look", {}])

    def test_one_call_only(self):
        self.check(_tools.MISTRAL, f"[TOOL_CALLS][{CALL}, {CALL}]", [("look", {"at": "x {"})], is_parallel=False)

    def test_templates(self):
        for template, form in (
            (None, None),
            ("{{ messages }}", None),
            ("<tool_call><function=f>", None),
            ("..<tool_call>..", _tools.HERMES),
            ("[TOOL_CALLS]", _tools.MISTRAL),
            ("<|tool_call|>", _tools.GRANITE),
            ("<|python_tag|>", _tools.LLAMA),
            ('<|start_header_id|> {"name": .., "parameters": ..}', _tools.LLAMA),
        ):
            self.assertEqual(_tools.format_of(template), form)

    def test_ids(self):
        ids = {_tools.calls_of(CALL)[0].id for _ in range(100)}
        self.assertEqual(len(ids), 100)
        self.assertTrue(all(len(id) == 9 and id.isalnum() for id in ids))


if __name__ == "__main__":
    unittest.main()
