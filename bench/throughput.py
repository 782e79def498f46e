#!/usr/bin/env python3
"""Measures how many sessions fit into a memory budget, and how fast all of them together generate, with several plans.

    make all benches
    bench/throughput.py --quick             a few minutes: one type of weights, few repeats, no large model
    bench/throughput.py                     everything, about 40 minutes, on a machine that does nothing else
    bench/throughput.py --row streamed      one of the rows; the file of results keeps the others
    bench/throughput.py --report            measures nothing; writes docs/throughput.md and .svg again

The rows are
    fit         sessions in a budget, against what the planner says
    batch       the TinyLlama shape with short contexts: batches of 1, 8 and 32, and a prompt
    memory      equal memory for all plans: contexts of 5 + 8187 tokens
    types       keys and values of f16, q8_0 and q4_0 for one session at a depth of 8192 tokens
    streamed    weights that do not fit in memory (512 + 1024 tokens), with a hard limit for the process
Models have random weights (make_model.py), are packed for this machine (lckv convert --packed) and stay in the folder
of --models, which needs 25 GB for everything; --row streamed alone needs 16 GB on a disk that allows O_DIRECT.

For each row the plans' processes run at the same time, but compute in turns: a few steps of one, then of the other,
so that a machine whose speed drifts is fair to both. A ratio is the median over the turns. Results go to
bench/results/throughput.json. It needs only Python's standard library.
"""

import argparse
import datetime
import json
import mmap
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import throughput_page

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SHAPES = {  # the arguments of make_model.py
    "12": ["--preset", "110m"],
    "22": ["--preset", "tinyllama"],
    "30": ["--preset", "smollm2"],
    "80": ["--preset", "tinyllama", "--layers", "80"],
}
LAYERS = {"12": 12, "22": 22, "30": 30, "80": 80}
PLANS = ("standard", "w10", "w2", "sandwich-middle", "cla2")
GIBIBYTE = 1 << 30
STREAMED_KV = 4 * 1536 * 80 * 1024  # bytes of four sessions of 1536 tokens of the 80 layers, in f16


def plan_text(plan, layers):
    """The plan language of docs/plans.md. w2 and w10 have 2 and 10 warm-up layers, half of them at either end."""
    if plan in ("w2", "w10"):
        half = int(plan[1:]) // 2
        source, top = layers - 1 - half, range(layers - half, layers)
        entries = [*range(half), *[source] * (layers - 2 * half), *top]
    elif plan == "sandwich-middle":
        entries = [0, *[layers // 2] * (layers - 2), layers - 1]
    elif plan == "cla2":
        entries = [i - i % 2 for i in range(layers)]
    else:
        entries = range(layers)
    return "_".join(map(str, entries))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"throughput: {' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def say(text):
    print(text, flush=True)


class Models:
    """Files of random weights, made when they are first asked for."""

    def __init__(self, folder, lckv):
        self.folder, self.lckv = folder, lckv
        os.makedirs(folder, exist_ok=True)

    def path(self, shape, plan, kind):
        path = os.path.join(self.folder, f"{shape}-{plan}-{kind}.gguf")
        if not os.path.exists(path):
            say(f"making {path}")
            plan_arguments = [] if plan == "standard" else ["--plan", plan_text(plan, LAYERS[shape])]
            plain = path + ".plain"
            make = [sys.executable, os.path.join(HERE, "make_model.py")]
            run(*make, *SHAPES[shape], *plan_arguments, "--type", kind, plain)
            run(self.lckv, "convert", plain, path, "--packed")
            os.remove(plain)
        return path


class Limit:
    """A hard limit on the memory of a process: a control group where one can be made, else RLIMIT_DATA."""

    def __init__(self, n_bytes):
        self.n_bytes, self.group, self.peak_name = n_bytes, None, None
        for line in open("/proc/self/cgroup", encoding="utf-8"):
            _, controllers, path = line.strip().split(":", 2)
            if controllers == "memory":  # version 1
                self.try_group(f"/sys/fs/cgroup/memory{path}", "memory.limit_in_bytes", "memory.max_usage_in_bytes")
            elif controllers == "":  # version 2
                self.try_group(f"/sys/fs/cgroup{path}", "memory.max", "memory.peak")

    def try_group(self, parent, limit_name, peak_name):
        group = os.path.join(parent, f"lckv-throughput-{os.getpid()}-{id(self)}")
        if self.group is not None or not os.path.isdir(parent):
            return
        try:
            os.mkdir(group)
        except OSError:
            return
        try:
            with open(os.path.join(group, limit_name), "r+", encoding="utf-8") as file:
                file.write(str(self.n_bytes))
            self.group, self.peak_name = group, peak_name
        except OSError:
            os.rmdir(group)

    def enter(self):
        """Runs in the new process."""
        if self.group is not None:
            with open(os.path.join(self.group, "cgroup.procs"), "w", encoding="utf-8") as file:
                file.write(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (self.n_bytes, self.n_bytes))

    def describe(self):
        peak = None
        if self.group is not None:
            try:
                with open(os.path.join(self.group, self.peak_name), encoding="utf-8") as file:
                    peak = int(file.read())
            except OSError:
                pass  # memory.peak is younger than version 2
        kind = "cgroup" if self.group is not None else "RLIMIT_DATA"
        return {"limit": kind, "bytes": self.n_bytes, "cgroup_peak": peak}

    def remove(self):
        if self.group is not None:
            os.rmdir(self.group)


class Engine:
    """A process of build/bench/throughput: a model, and a cache that is full of sessions."""

    def __init__(self, program, plan, path, *arguments, limit=None):
        self.plan, self.limit, self.bytes_before = plan, limit, 0
        command = [program, *map(str, arguments), path]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=limit.enter if limit is not None else None,
        )  # fmt: skip
        self.about = self.answer()
        self.path = path

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            message = self.process.stderr.read().strip()
            raise RuntimeError(message or f"a process ended with {self.process.returncode} (too little memory?)")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        answer["disk_bytes"] = self.disk_bytes()
        return answer

    def disk_bytes(self):
        """Bytes that the process has had from the disk since it was last asked."""
        with open(f"/proc/{self.process.pid}/io", encoding="utf-8") as file:
            now = int(re.search(r"^read_bytes: (\d+)", file.read(), re.M)[1])
        before, self.bytes_before = self.bytes_before, now
        return now - before

    def memory(self):
        """Peaks in bytes, as the system counts them: all that is resident, and what RLIMIT_DATA counts."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            text = file.read()
        peaks = {key: 1024 * int(re.search(rf"^{key}:\s*(\d+)", text, re.M)[1]) for key in ("VmHWM", "VmData")}
        limit = self.limit.describe() if self.limit is not None else {}
        return {"resident_peak": peaks["VmHWM"], "data": peaks["VmData"], **limit}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
        if self.limit is not None:
            self.limit.remove()


class Bench:
    """What all rows share: the programs, the models, the options."""

    def __init__(self, options):
        self.program, self.threads, self.quick = options.program, options.threads, options.quick
        self.models = Models(options.models, options.lckv)
        self.stream_bytes, self.limit_bytes = options.stream_bytes, options.limit

    def open(self, shape, plan, kind, *arguments, limit=None):
        path = self.models.path(shape, plan, kind)
        return Engine(self.program, plan, path, "--threads", self.threads, *arguments, limit=limit)


def in_turns(engines, commands, n_rounds, between=lambda: None):
    """Asks every engine every command, `n_rounds` times. Gives a list of answers for [engine][command]."""
    answers = [[[] for _ in commands] for _ in engines]
    for turn in range(n_rounds):
        between()
        for c, command in enumerate(commands):
            order = range(len(engines))
            for e in order if turn % 2 == 0 else reversed(order):
                answers[e][c].append(engines[e].ask(command))
    return answers


def tokens_per_second(answers):
    """Of all steps of all turns, the median."""
    milliseconds = [ms for answer in answers for ms in answer["milliseconds"]]
    n_tokens = answers[0]["depth"] if answers[0]["test"] == "prompt" else answers[0]["batch"]
    return 1000 * n_tokens / statistics.median(milliseconds)


def ratio(above, below):
    """The median over the turns of the ratio of their speeds."""
    return statistics.median(a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(above, below))


def whole_run(depths, speeds, batch, first, last):
    """Tokens per second from depth `first` to `last`, if the time of a step is a straight line over the depth."""
    seconds = [batch / speed for speed in speeds]
    line = statistics.linear_regression(depths, seconds) if len(depths) > 1 else (0, seconds[0])
    return batch / (line[1] + line[0] * (first + last) / 2)


def opened(bench, failures, *arguments, limit=None):
    """An engine, or None and a remark if this build or this budget does not allow it."""
    try:
        return bench.open(*arguments, limit=limit)
    except RuntimeError as error:
        if limit is not None:
            limit.remove()
        failures.append({"arguments": list(map(str, arguments)), "message": str(error)})
        say(f"left out: {' '.join(map(str, arguments))}: {error}")
        return None


def measure_fit(bench):
    """Sessions that a cache really holds, and what the planner said."""
    budgets = [(8192, 1), (512, 50)]
    if not bench.quick:
        budgets += [(8192, 2), (8192, 8), (517, 50), (1536, 50)]
    rows = []
    for plan in PLANS:
        for context, n_standard in budgets:
            engine = bench.open("22", plan, "q4_0", "--context", context, "--standard-sessions", n_standard)
            rows.append({**engine.about, "plan": plan, "standard_sessions": n_standard})
            engine.close()
            about = engine.about
            n_bytes = about["page_bytes_total"] + about["table_bytes"] + about["scratch_bytes"]
            same = about["sessions"] == about["planned_sessions"] and n_bytes == about["estimated_bytes"]
            same = "as planned, to the byte" if same else "NOT AS PLANNED"
            say(f"fit: {plan}, {context} tokens, {n_standard} standard: {about['sessions']} sessions, {same}")
    return rows


def measure_batch(bench):
    rows = []
    targets = {"q4_0": (3, 0.7), "q8_0": (4.3, 0.62), "bf16": (6, None)}
    for kind in ("q4_0",) if bench.quick else targets:
        engine = bench.open("22", "standard", kind, "--context", 640, "--standard-sessions", 32)
        commands = ["decode 128 16 1", "decode 128 8 8", "decode 128 4 32", "prompt 512 1", "probe"]
        (answers,) = in_turns([engine], commands, 2 if bench.quick else 7)
        one, eight, many, prompt, probes = answers
        row = {
            "weights": kind, "threads": bench.threads, "kernel_set": engine.about["kernel_set"],
            "tokens_per_second": {
                "1": tokens_per_second(one), "8": tokens_per_second(eight), "32": tokens_per_second(many),
                "prompt": tokens_per_second(prompt),
            },
            "8_over_1": ratio(eight, one), "32_over_prompt": ratio(many, prompt),
            "probe_gigabytes_per_second": statistics.median(p["gigabytes_per_second"] for p in probes),
            "decode_bytes": engine.about["decode_bytes"],
        }  # fmt: skip
        engine.close()
        rows.append(row)
        say(f"batch: {kind}: 8 over 1 {row['8_over_1']:.2f} (wanted {targets[kind][0]}), "
            f"32 over prompt {row['32_over_prompt']:.2f} (wanted {targets[kind][1]})")  # fmt: skip
    return rows


def compare_plans(engines, depths, n_steps, n_rounds, span, between=lambda: None):
    """Times the steps of all engines in turns. The first engine is the one that others are divided by."""
    commands = [f"decode {depth} {n_steps} 0" for depth in depths]
    answers = in_turns(engines, commands, n_rounds, between)
    results = []
    for engine, of_engine in zip(engines, answers):
        speeds = [tokens_per_second(a) for a in of_engine]
        batch = engine.about["sessions"]
        whole = whole_run(depths, speeds, batch, *span)
        seconds = sum(ms for a in of_engine for answer in a for ms in answer["milliseconds"]) / 1000
        n_timed = sum(len(answer["milliseconds"]) for a in of_engine for answer in a)
        n_steps_made = n_timed + sum(len(a) for a in of_engine)
        disk_bytes = sum(answer["disk_bytes"] for a in of_engine for answer in a)
        results.append({
            "plan": engine.plan, "about": engine.about, "batch": batch, "depths": depths,
            "tokens_per_second": speeds, "whole_run": whole,
            "ratios": [ratio(a, b) for a, b in zip(of_engine, answers[0])],
            "whole_run_ratio": whole / (results[0]["whole_run"] if results else whole),
            "milliseconds": [[ms for answer in a for ms in answer["milliseconds"]] for a in of_engine],
            "disk_bytes_per_step": disk_bytes / n_steps_made,
            "disk_bytes_per_second": disk_bytes / n_steps_made * n_timed / seconds,
            "memory": engine.memory(),
        })  # fmt: skip
    return results


def measure_memory(bench):
    """The budget is that of so many standard sessions; every plan fills it with its own."""
    rows, targets = [], {"q4_0": 2.0, "q8_0": 2.9, "bf16": 4.0}
    pairs = [(kind, kv, n, ("standard", "w2")) for kv in ("f16", "q8_0") for kind in targets for n in (1, 2, 4, 8)]
    pairs += [("q8_0", "f16", 1, PLANS)]
    if bench.quick:
        pairs = [("q4_0", "f16", n, ("standard", "w2")) for n in (1, 4)] + [("q4_0", "f16", 1, PLANS)]
    for kind, kv, n_standard, plans in pairs:
        failures = []
        arguments = ["--context", 8192, "--standard-sessions", n_standard, "--kv-type", kv]
        engines = [opened(bench, failures, "22", plan, kind, *arguments) for plan in plans]
        row = {"weights": kind, "kv_type": kv, "standard_sessions": n_standard, "failures": failures, "plans": []}
        if all(engines):
            row["probes"] = [engines[0].ask("probe")["gigabytes_per_second"]]
            n_steps, n_rounds = (2, 2) if bench.quick else (4, 5)
            row["plans"] = compare_plans(engines, [512, 4096, 8000], n_steps, n_rounds, (5, 8192))
            row["probes"] += [engines[0].ask("probe")["gigabytes_per_second"]]
            for result in row["plans"][1:]:
                ratios = ", ".join(f"{r:.2f}" for r in result["ratios"])
                wanted = f" (wanted {targets[kind]})" if n_standard == 1 and result["plan"] == "w2" else ""
                say(f"memory: {kind}, {kv} KV, {n_standard} standard sessions: {result['plan']} over standard "
                    f"{result['whole_run_ratio']:.2f}, at the depths {ratios}{wanted}")  # fmt: skip
        for engine in engines:
            if engine is not None:
                engine.close()
        rows.append(row)
    return rows


def measure_types(bench):
    """One session of the standard plan, deep in a text: what smaller keys and values save of a step."""
    depth, kinds, rows = 8192, ("f16", "q8_0", "q4_0"), []
    for shape, weights in (("12", "q8_0"), ("30", "q4_1"), ("22", "q4_0")):
        arguments = ["--context", depth, "--standard-sessions", 1]
        engines = [bench.open(shape, "standard", weights, *arguments, "--kv-type", kind) for kind in kinds]
        answers = [a for (a,) in in_turns(engines, [f"decode {depth} 12 1"], 2 if bench.quick else 9)]
        for engine, kind, answer in zip(engines, kinds, answers):
            n_bytes = engine.about["decode_bytes"] + engine.about["bytes_per_session"]
            rows.append({
                "shape": shape, "weights": weights, "kv_type": kind, "depth": depth, "bytes": n_bytes,
                "tokens_per_second": tokens_per_second(answer), "over_f16": ratio(answer, answers[0]),
            })  # fmt: skip
            engine.close()
            say(f"types: {shape} layers, weights {weights}, KV {kind}: {rows[-1]['over_f16']:.2f} times f16, "
                f"{rows[-1 - kinds.index(kind)]['bytes'] / n_bytes:.2f} by bytes")  # fmt: skip
    return rows


def disk_rate(path, n_readers, seconds=4, piece=4 << 20):
    """Bytes per second that `n_readers` threads together read of the file past the page cache."""
    n_pieces, done, lock = os.path.getsize(path) // piece, [0], threading.Lock()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    begin = time.perf_counter()

    def read():
        buffer = mmap.mmap(-1, piece)
        while time.perf_counter() < begin + seconds:
            with lock:
                number = done[0]
                done[0] += 1
            os.preadv(descriptor, [buffer], number % n_pieces * piece)

    readers = [threading.Thread(target=read) for _ in range(n_readers)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    rate = done[0] * piece / (time.perf_counter() - begin)
    os.close(descriptor)
    return rate


def measure_streamed(bench):
    """Each process gets the same limit for everything, the same ring, and the same bytes of keys and values."""
    large = "22" if bench.quick else "80"
    sets = [(large, [("standard", "f16"), ("w2", "f16")])]
    if not bench.quick:
        sets += [("80", [("standard", "f16"), ("standard", "q8_0"), ("standard", "q4_0")])]
        sets += [("22", [("standard", "f16"), ("w2", "f16")])]
    rows = []
    for shape, members in sets:
        failures, engines, kinds, rates = [], [], [], []
        for plan, kv in members:
            arguments = ["--context", 1536, "--kv-bytes", STREAMED_KV, "--kv-type", kv]
            arguments += ["--stream-bytes", bench.stream_bytes]
            engine = opened(bench, failures, shape, plan, "q8_0", *arguments, limit=Limit(bench.limit_bytes))
            if engine is not None:
                engines.append(engine)
                kinds.append(kv)
        row = {"shape": shape, "limit": bench.limit_bytes, "failures": failures, "plans": []}
        if len(engines) > 1:
            def probe_disk():
                rates.append({n: disk_rate(engines[0].path, n) for n in (1, 4)})

            results = compare_plans(engines, [512, 1024, 1535], 2, 1 if bench.quick else 4, (512, 1536), probe_disk)
            probe_disk()
            row["disk_rates"] = rates
            disk = {n: statistics.median(r[n] for r in rates) for n in (1, 4)}
            row["disk_bytes_per_second"] = max(disk.values())
            for result, kv in zip(results, kinds):
                result["kv_type"] = kv
                result["share_of_disk"] = result["disk_bytes_per_second"] / row["disk_bytes_per_second"]
                say(f"streamed: {shape} layers, {result['plan']}, {kv} KV: {result['batch']} sessions, "
                    f"{result['whole_run']:.2f} tokens/s, {result['whole_run_ratio']:.1f} times the first, "
                    f"{result['share_of_disk']:.2f} of the disk")  # fmt: skip
            row["plans"] = results
        for engine in engines:
            engine.close()
        rows.append(row)
    return rows


ROWS = {
    "fit": measure_fit, "batch": measure_batch, "memory": measure_memory, "types": measure_types,
    "streamed": measure_streamed,
}  # fmt: skip


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        name = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    return f"{name[1] if name else 'unknown'}, {os.cpu_count()} processors"


def text_of(results):
    """JSON with a line for each measured row."""
    sections = []
    for name, section in results.items():
        about = json.dumps({key: value for key, value in section.items() if key != "rows"})
        rows = ",\n".join(json.dumps(row) for row in section["rows"])
        sections.append(f'"{name}": {about[:-1]}, "rows": [\n{rows}\n]}}')
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repeats and small models")
    parser.add_argument("--row", action="append", choices=ROWS, help="only this row; may come several times")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page again")
    parser.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "lckv-throughput"), help="folder of the models (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--limit", type=int, default=GIBIBYTE, help="bytes of a streaming process (default 1 GiB)")
    parser.add_argument("--stream-bytes", type=int, default=256 << 20, help="of its ring (default 256 MiB)")
    parser.add_argument("--program", default=os.path.join(ROOT, "build/bench/throughput"))
    parser.add_argument("--lckv", default=os.path.join(ROOT, "build/lckv"))
    parser.add_argument("--results", default=os.path.join(HERE, "results/throughput.json"))
    parser.add_argument("--page", default=os.path.join(ROOT, "docs/throughput.md"), help="its plot stands beside it")
    options = parser.parse_args()

    results = {}
    if os.path.exists(options.results):
        with open(options.results, encoding="utf-8") as file:
            results = json.load(file)
    if not options.report:
        bench = Bench(options)
        version = run(options.lckv, "--version").split("\n")[0]
        for name in options.row or ROWS:
            begin = time.time()
            results[name] = {
                "version": version, "machine": machine(), "date": datetime.date.today().isoformat(),
                "load": round(os.getloadavg()[0], 1), "quick": options.quick, "rows": ROWS[name](bench), "minutes": round((time.time() - begin) / 60, 1),
            }  # fmt: skip
            with open(options.results, "w", encoding="utf-8") as file:
                file.write(text_of(results))
    throughput_page.write(options.page, results)


if __name__ == "__main__":
    main()
