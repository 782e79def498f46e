"""Plans, the memory planner, models, text and conversion."""

import array
import ctypes
import mmap
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import gguf_edit
from support import MODEL, PROMPT, model, needs_numpy, numpy

import lckv


class Library(unittest.TestCase):
    def test_version_and_kernel_sets(self):
        self.assertRegex(lckv.version(), r"^\d+\.\d+\.\d+$")
        self.assertTrue(lckv.kernel_sets()["portable"])
        self.assertEqual(next(iter(lckv.kernel_sets())), "portable")

    def test_tiles_are_there_once_they_were_asked_for(self):
        """In a process of its own, since the permission is for good."""

        program = "import lckv; lckv.request_tiles(); print(lckv.kernel_sets().get('amx', False))"
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
        self.assertEqual(done.stdout.strip(), str("amx_int8" in flags))

    def test_each_status_has_an_exception(self):
        from lckv import _errors

        self.assertEqual(sorted(_errors.CLASSES), list(range(1, 14)))
        for name, base in (("OutOfMemory", MemoryError), ("IOError", OSError), ("InvalidArgument", ValueError)):
            self.assertTrue(issubclass(getattr(lckv, name), base) and issubclass(getattr(lckv, name), lckv.Error))


class Plans(unittest.TestCase):
    def test_a_plan(self):
        plan = lckv.Plan("0_6_6_6_6_6_6_7s", 8)
        self.assertEqual((plan.info.n_layers, plan.info.n_slots, plan.info.n_upward), (8, 3, 5))
        self.assertEqual([layer.slot for layer in plan.layers], [0, None, None, None, None, None, 1, 2])
        self.assertEqual([slot.n_readers for slot in plan.slots], [1, 6, 1])
        self.assertTrue(plan.slots[2].is_windowed and plan.layers[7].is_windowed)
        self.assertTrue(any(group.is_cyclic for group in plan.groups))
        self.assertEqual(str(plan), "0_6_6_6_6_6_6_7s")
        self.assertEqual(plan, lckv.Plan(str(plan), 8))
        self.assertIn("\n", plan.describe())
        self.assertTrue(lckv.Plan(None, 4).info.is_standard)

    def test_bad_plans_say_what_is_wrong(self):
        with self.assertRaisesRegex(lckv.BadPlan, "7"):
            lckv.Plan("0_7_2", 3)
        with self.assertRaises(ValueError):
            lckv.Plan("0_x", 2)

    def test_the_memory_of_a_plan(self):
        plan = lckv.Plan("0_6_6_6_6_6_6_7", 8)
        report = lckv.memory_estimate(plan, 8, 128, budget_bytes=2**30, context=4096)
        self.assertEqual(report.bytes_per_token, 3 * 2 * 8 * 128 * 2)
        self.assertEqual(report.standard_bytes_per_token, 8 * 2 * 8 * 128 * 2)
        self.assertEqual(report.sessions_that_fit, 2**30 // report.bytes_per_session)
        shaped = lckv.memory_estimate(plan, kv_shapes=[(8, 128)] * 8, budget_bytes=2**30)
        self.assertEqual(shaped, report)
        endless = lckv.memory_estimate(plan, 8, 128, budget_bytes=2**30, context_window=512)
        self.assertIsNone(endless.context_that_fits)


class Models(unittest.TestCase):
    def test_what_a_model_is(self):
        info = model().info
        self.assertEqual((info.n_layers, info.n_vocab, info.hidden_size), (12, 4096, 256))
        self.assertEqual((info.architecture, info.precision, info.problem), ("lckv-llama", "fast", None))
        self.assertIs(info.has_weights, True)
        self.assertEqual(str(model().plan), "0_10_10_10_10_10_10_10_10_10_10_11")
        self.assertEqual([layer.n_kv_heads for layer in model().layers], [4] * 12)
        self.assertEqual(model().metadata["general.name"], "stories-lckv")
        self.assertIn("general.architecture", list(model().metadata))
        self.assertEqual(len(model().metadata), len(set(model().metadata)))
        with self.assertRaises(KeyError):
            model().metadata["no.such.key"]
        self.assertIsInstance(model().fingerprint, int)
        self.assertIn("12 layers", repr(model()))

    def test_options_and_bytes(self):
        data = MODEL.read_bytes()
        with lckv.Model.from_bytes(data, kernel_set="portable", precision="full", weights="none") as opened:
            self.assertEqual(opened.info.kernel_set, "portable")
            self.assertEqual(opened.info.precision, "full")
            self.assertFalse(opened.info.has_weights)
            self.assertEqual(opened.tokenize(PROMPT), model().tokenize(PROMPT))
        with self.assertRaisesRegex(ValueError, "precision is 'high'; expected 'default'"):
            lckv.Model(MODEL, precision="high")

    def test_buffers(self):
        data = MODEL.read_bytes()
        with open(MODEL, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            with memoryview(mapped) as view:
                for buffer in (mapped, view, bytearray(data), array.array("B", data)):
                    with lckv.Model.from_bytes(buffer) as opened:
                        self.assertEqual(opened.fingerprint, model().fingerprint)
        for wrong, exception in (("text", TypeError), (memoryview(data)[::2], BufferError), (b"", lckv.Error)):
            with self.assertRaises(exception):
                lckv.Model.from_bytes(wrong)

    def test_files_that_do_not_open(self):
        with self.assertRaisesRegex(OSError, "nowhere.gguf"):
            lckv.Model("/nowhere.gguf")
        with self.assertRaises(lckv.BadFormat):
            lckv.Model.from_bytes(b"GGUFFF")
        with self.assertRaises(ValueError):
            lckv.Model("a\0b")

    def test_callbacks_of_the_open(self):
        told = []
        lckv.Model(MODEL, progress=lambda done, total: told.append((done, total)), log=told.append)
        self.assertTrue(told and told[-1][0] == told[-1][1])

        def refuse(done, total):
            raise KeyError("stop")

        with self.assertRaisesRegex(KeyError, "stop") as caught:
            lckv.Model(MODEL, progress=refuse)
        self.assertIsNone(caught.exception.__cause__)

    def test_a_pool_reads_weights(self):
        with lckv.Pool(1) as pool:
            lckv.Model(MODEL, pool=pool).close()
        with self.assertRaisesRegex(ValueError, "the pool is closed"):
            lckv.Model(MODEL, pool=pool)

    def test_convert(self):
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder, "standard.gguf")
            report = lckv.convert(MODEL, target, dtype="f16", plan="0" + 11 * "_10", init="copy")
            self.assertEqual(report.file_bytes, os.path.getsize(target))
            with lckv.Model(target, weights="none") as opened:
                self.assertEqual((opened.plan.info.n_slots, opened.info.weight_dtypes), (2, "f16, f32"))

            def stop(done, total):
                raise RuntimeError("enough")

            with self.assertRaisesRegex(lckv.Mismatch, "layer 1"):
                lckv.convert(MODEL, pathlib.Path(folder, "other.gguf"), plan="_".join(map(str, range(12))))
            with self.assertRaisesRegex(RuntimeError, "enough"):
                lckv.convert(MODEL, pathlib.Path(folder, "other.gguf"), progress=stop)
            self.assertEqual(os.listdir(folder), ["standard.gguf"])


class Text(unittest.TestCase):
    def test_to_tokens_and_back(self):
        tokens = model().tokenize("Tom and Mia, \u4f60\u597d \U0001f600")
        self.assertEqual(tokens[0], model().bos)
        self.assertEqual(model().detokenize(tokens), "Tom and Mia, \u4f60\u597d \U0001f600")
        self.assertEqual(model().tokenize(PROMPT, bos=False), model().tokenize(PROMPT, bos=True)[1:])
        long = "Tom and Mia saw a cat. " * 3000
        self.assertEqual(model().detokenize(model().tokenize(long)), long)
        self.assertEqual(model().detokenize_bytes(model().tokenize(b"a\xffb\0c")), b"a\xffb\0c")

    def test_special_tokens(self):
        self.assertEqual(model().tokenize("<|eos|>", bos=False), [model().eos])
        self.assertNotIn(model().eos, model().tokenize("<|eos|>", special=False))
        self.assertEqual(model().detokenize([model().eos]), "")
        self.assertEqual(model().detokenize([model().eos], special=True), "<|eos|>")
        self.assertTrue(model().is_end(model().eos) and not model().is_end(100))
        self.assertIsNone(model().unknown)
        self.assertEqual(model().token(model().bos), lckv.TokenInfo(b"<|bos|>", "control"))

    def test_where_texts_begin(self):
        spaced = lckv.Model.from_bytes(gguf_edit.spaced_vocabulary(""), weights="none")
        letter = spaced.tokenize("a", bos=False)[-1]
        self.assertEqual([spaced._begins_text(token) for token in (spaced.bos, letter)], [True, False])
        self.assertEqual(
            [model()._begins_text(token) for token in (model().bos, model().eos, 300)], [True, False, False]
        )
        self.assertEqual(spaced._begins_text(spaced.eos), spaced.tokenize("</s>a", bos=False)[1:2] != [letter])

    def test_a_stream_never_has_half_a_character(self):
        text = "a \U0001f600 b"
        with model().detokenizer(continues=True) as stream:
            pieces = [stream.push(token) for token in model().tokenize(text, bos=False)]
            self.assertEqual("".join(pieces) + stream.flush(), text)
            self.assertIn("", pieces)

    def test_rows_of_tokens(self):
        expected = model().detokenize([300, 301, 302])
        for tokens in (
            (300, 301, 302),
            range(300, 303),
            array.array("i", [300, 301, 302]),
            array.array("q", [300, 301, 302]),
            (ctypes.c_int32 * 3)(300, 301, 302),
            (ctypes.c_int64 * 3)(300, 301, 302),
            memoryview(array.array("h", [300, 301, 302])),
        ):
            self.assertEqual(model().detokenize(tokens), expected)
        for wrong, error in (
            ("abc", TypeError),
            (b"abc", TypeError),
            ([1.5], TypeError),
            ([2**31], ValueError),
            (array.array("d", [1]), TypeError),
            (3, TypeError),
        ):
            with self.assertRaises(error, msg=repr(wrong)):
                model().detokenize(wrong)

    @needs_numpy
    def test_rows_of_tokens_in_numpy(self):
        expected = model().detokenize([300, 301, 302])
        for kind in ("int32", "int64", "uint16"):
            self.assertEqual(model().detokenize(numpy.array([300, 301, 302], kind)), expected)
        self.assertEqual(model().detokenize(numpy.arange(300, 306)[::2]), model().detokenize([300, 302, 304]))
        self.assertEqual(
            model().detokenize(numpy.arange(300, 306, dtype="int32")[::2]), model().detokenize([300, 302, 304])
        )
        with self.assertRaises(TypeError):
            model().detokenize(numpy.zeros((2, 2), "int32"))


if __name__ == "__main__":
    unittest.main()
