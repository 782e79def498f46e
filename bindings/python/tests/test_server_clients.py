"""The official clients of OpenAI and Anthropic: what they send is understood, and what they get makes sense to them."""

import asyncio
import gc
import importlib.util
import os
import time
import unittest

from server_support import NAME, TOOLS_TEMPLATE, FakeEngine, Running, chat_model, engine, needs_server
from support import PROMPT, needs_jinja

import lckv

needs_openai = unittest.skipUnless(importlib.util.find_spec("openai"), "no openai")
needs_anthropic = unittest.skipUnless(importlib.util.find_spec("anthropic"), "no anthropic")
needs_llguidance = unittest.skipUnless(importlib.util.find_spec("llguidance"), "no llguidance")

HELLO = [{"role": "user", "content": "Tell me of Lily"}]
ASK = {"model": NAME, "messages": HELLO, "temperature": 0}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}, "age": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks", "parameters": SCHEMA}}
CALL = '<tool_call>\n{"name": "look", "arguments": {"name": "Lily", "age": 3}}\n</tool_call>'
N_REQUESTS = 64
N_SOAK = int(os.environ.get("LCKV_SOAK", "0"))


def resident():
    """Kilobytes of memory that this process has."""

    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def open_files():
    return len(os.listdir("/proc/self/fd"))


@needs_server
@needs_openai
class OpenAI(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import openai

        cls.server = Running(engine(n_tokens=16384, max_sessions=32))
        cls.server.__enter__()
        cls.client = openai.OpenAI(base_url=f"{cls.server.url}/v1", api_key="none", max_retries=0, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()

    def test_chat(self):
        answer = self.client.chat.completions.create(**ASK, max_tokens=20, stop=["\n"])
        text = answer.choices[0].message.content
        self.assertGreater(len(text), 10)
        self.assertEqual(answer.usage.completion_tokens, 20)
        pieces = []
        with self.client.chat.completions.create(**ASK, max_tokens=20, stream=True) as stream:
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
        self.assertEqual("".join(pieces), text)
        self.assertGreater(len(pieces), 10)

    def test_logprobs(self):
        answer = self.client.chat.completions.create(**ASK, max_tokens=5, logprobs=True, top_logprobs=2)
        rows = answer.choices[0].logprobs.content
        self.assertEqual("".join(row.token for row in rows), answer.choices[0].message.content)
        self.assertEqual([len(row.top_logprobs) for row in rows], [2] * 5)

    def test_completions(self):
        answer = self.client.completions.create(
            model=NAME, prompt=PROMPT, max_tokens=5, temperature=0, echo=True, logprobs=1
        )
        self.assertTrue(answer.choices[0].text.startswith(PROMPT))
        self.assertEqual(len(answer.choices[0].logprobs.tokens), 10)
        answer = self.client.completions.create(model=NAME, prompt=PROMPT, n=3, seed=4, max_tokens=9)
        self.assertEqual(len({choice.text for choice in answer.choices}), 3)

    def test_embeddings(self):
        for more in ({}, {"encoding_format": "float"}):  # without it, the client asks for base64 and decodes it
            rows = self.client.embeddings.create(model=NAME, input=["a", "b"], **more).data
            self.assertEqual([len(row.embedding) for row in rows], [256, 256])
            self.assertAlmostEqual(sum(x * x for x in rows[0].embedding), 1, places=4)

    def test_models(self):
        self.assertEqual(self.client.models.list().data[0].id, NAME)
        self.assertEqual(self.client.models.retrieve(NAME).id, NAME)

    def test_errors(self):
        import openai

        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("none")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(model=NAME, messages=HELLO, temperature=9)
        self.assertEqual(caught.exception.param, "temperature")
        with Running(FakeEngine(chat_model(), lckv.EngineFull("full"))) as server:
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
            with client, self.assertRaises(openai.RateLimitError) as caught:
                client.chat.completions.create(**ASK)
            self.assertEqual(caught.exception.response.headers["retry-after"], "3")

    @needs_llguidance
    def test_json(self):
        import json

        form = {"type": "json_schema", "json_schema": {"name": "cat", "schema": SCHEMA, "strict": True}}
        for seed in range(3):
            answer = self.client.chat.completions.create(
                model=NAME, messages=HELLO, max_tokens=200, response_format=form, seed=seed
            )
            self.assertEqual(answer.choices[0].finish_reason, "stop")
            found = json.loads(answer.choices[0].message.content)
            self.assertEqual(found.keys(), {"name", "age"})
            self.assertIn(found["age"], range(1, 10))

    @needs_llguidance
    def test_a_schema_that_is_none(self):
        import openai

        form = {"type": "json_schema", "json_schema": {"name": "cat", "schema": {"type": "cat"}}}
        with self.assertRaises(openai.BadRequestError):
            self.client.chat.completions.create(model=NAME, messages=HELLO, response_format=form)

    @needs_jinja
    def test_tools(self):
        import openai

        with Running(FakeEngine(chat_model(TOOLS_TEMPLATE), CALL)) as server:
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
            with client:
                answer = client.chat.completions.create(**ASK, tools=[TOOL])
                [call] = answer.choices[0].message.tool_calls
                self.assertEqual((call.function.name, answer.choices[0].finish_reason), ("look", "tool_calls"))
                with client.chat.completions.stream(**ASK, tools=[TOOL]) as stream:
                    final = stream.get_final_completion()
                [call] = final.choices[0].message.tool_calls
                self.assertEqual(call.function.arguments, '{"name": "Lily", "age": 3}')

    @needs_jinja
    @needs_llguidance
    def test_tools_that_must_be_called(self):
        import json

        import openai

        with Running(engine(chat_model(TOOLS_TEMPLATE))) as server:
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
            with client:
                for choice in ("required", {"type": "function", "function": {"name": "look"}}):
                    answer = client.chat.completions.create(**ASK, tools=[TOOL], tool_choice=choice, max_tokens=200)
                    [call] = answer.choices[0].message.tool_calls
                    self.assertEqual(call.function.name, "look")
                    self.assertIn(json.loads(call.function.arguments)["age"], range(1, 10))

    def test_many_at_once(self):
        """Answers to many requests that come together are those that each gets alone."""

        import openai

        def asked(i):
            rows = [{"role": "system", "content": "You tell stories."}, {"role": "user", "content": f"Tale {i}"}]
            return {"model": NAME, "messages": rows, "temperature": 0, "max_tokens": 20 + i % 30}

        async def together():
            client = openai.AsyncOpenAI(base_url=f"{self.server.url}/v1", api_key="none", max_retries=0, timeout=120)
            async with client:
                return await asyncio.gather(*(one(client, i) for i in range(N_REQUESTS)))

        async def one(client, i):
            if i % 2:
                answer = await client.chat.completions.create(**asked(i))
                return answer.choices[0].message.content
            stream = await client.chat.completions.create(**asked(i), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        answers = asyncio.run(together())
        alone = [self.client.chat.completions.create(**asked(i)).choices[0].message.content for i in range(N_REQUESTS)]
        self.assertEqual(answers, alone)
        self.assertTrue(all(answers))

    @unittest.skipUnless(N_SOAK, "LCKV_SOAK says how many requests")
    def test_memory_is_flat(self):
        def rounds(n):
            for i in range(n):
                more = ({}, {"stream": True}, {"logprobs": True, "top_logprobs": 3}, {"n": 3})[i % 4]
                answer = self.client.chat.completions.create(**ASK, max_tokens=10, seed=i, **more)
                if "stream" in more:
                    self.assertGreater(len(list(answer)), 5)
            gc.collect()

        rounds(max(200, N_SOAK // 10))
        before, files = resident(), open_files()
        start = time.monotonic()
        rounds(N_SOAK)
        grown = resident() - before
        print(f"{N_SOAK} requests in {time.monotonic() - start:.0f} s: {before} KiB, grown by {grown} KiB")
        self.assertLess(grown, 4096 + N_SOAK)
        self.assertLessEqual(open_files(), files)


@needs_server
@needs_anthropic
class Anthropic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import anthropic

        cls.server = Running(engine(), key="k")
        cls.server.__enter__()
        cls.client = anthropic.Anthropic(base_url=cls.server.url, api_key="k", max_retries=0, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()

    def test_messages(self):
        ask = {"model": NAME, "messages": HELLO, "max_tokens": 20, "system": "Be brief."}
        ask["extra_body"] = {"temperature": 0}
        message = self.client.messages.create(**ask)
        self.assertEqual((message.stop_reason, message.usage.output_tokens), ("max_tokens", 20))
        with self.client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, message.content[0].text)
        self.assertEqual((final.content[0].text, final.stop_reason), (text, "max_tokens"))
        word = text.split()[3]
        message = self.client.messages.create(**ask, stop_sequences=[word])
        self.assertEqual((message.stop_reason, message.stop_sequence), ("stop_sequence", word))

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [NAME, "other"])
        self.assertEqual(self.client.models.retrieve(NAME).type, "model")

    def test_count(self):
        count = self.client.messages.count_tokens(model=NAME, messages=HELLO).input_tokens
        self.assertEqual(count, len(chat_model().chat(HELLO)))

    def test_errors(self):
        import anthropic

        with self.assertRaisesRegex(anthropic.BadRequestError, "stop_sequences"):
            self.client.messages.create(model=NAME, messages=HELLO, max_tokens=3, stop_sequences=[""])
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.create(model="claude", messages=HELLO, max_tokens=3)
        wrong = anthropic.Anthropic(base_url=self.server.url, api_key="x", max_retries=0)
        with wrong, self.assertRaises(anthropic.AuthenticationError):
            wrong.messages.create(model=NAME, messages=HELLO, max_tokens=3)

    @needs_jinja
    def test_tools(self):
        import anthropic

        tools = [{"name": "look", "description": "Looks", "input_schema": SCHEMA}]
        with Running(FakeEngine(chat_model(TOOLS_TEMPLATE), "So." + CALL)) as server:
            client = anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0)
            with client:
                ask = {"model": NAME, "messages": HELLO, "max_tokens": 99, "tools": tools}
                message = client.messages.create(**ask)
                self.assertEqual(message.stop_reason, "tool_use")
                self.assertEqual(message.content[1].input, {"name": "Lily", "age": 3})
                with client.messages.stream(**ask) as stream:
                    final = stream.get_final_message()
                self.assertEqual([block.type for block in final.content], ["text", "tool_use"])
                self.assertEqual(final.content[1].input, {"name": "Lily", "age": 3})
                result = {"type": "tool_result", "tool_use_id": final.content[1].id, "content": "red"}
                rows = [*HELLO, {"role": "assistant", "content": final.content}, {"role": "user", "content": [result]}]
                client.messages.create(model=NAME, messages=rows, max_tokens=9, tools=tools)
                text = chat_model(TOOLS_TEMPLATE).detokenize(server.engine.asked[-1][0])
                self.assertIn("tool:red", text)

    @needs_llguidance
    def test_json(self):
        import json

        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        message = self.client.messages.create(model=NAME, messages=HELLO, max_tokens=200, output_config=form)
        self.assertEqual(json.loads(message.content[0].text).keys(), {"name", "age"})


if __name__ == "__main__":
    unittest.main()
