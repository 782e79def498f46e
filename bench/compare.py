#!/usr/bin/env python3
"""Measures lckv beside other engines that read GGUF files, on the same machine at the same time.

    bench/compare.py --lckv build/lckv --peer llama.cpp=~/llama.cpp/build/bin \\
        --test pp512 --test tg64 --test tg64@2048 --test b8 --output figures.json model-q4_0.gguf
    bench/compare.py --report figures.json --table figures.md --plot figures.svg

A test is
    pp512        a prompt of 512 tokens
    tg64         64 tokens decoded one by one
    tg64@2048    the same after 2048 tokens
    b8           64 tokens decoded by each of 8 sessions with prompts of 128
    pp8192+tg64  a prompt, and 64 tokens after it; peers measure both in one run
    first        milliseconds from the start of a process to the end of one that opens the model and
                 writes a token after a short prompt; the model needs a tokenizer
    rss512       the most MiB in memory of a process that reads a prompt of 512 tokens
A peer is a name and a folder that holds llama-bench, llama-batched-bench and llama-completion or
llama-cli, with more arguments behind commas: NAME=FOLDER,-fa,1. If a name is given several times,
each test first tries these settings, each twice, and takes the fastest (for rss the smallest).

Every test runs in windows: a probe, lckv and the peers in turns, and a probe again. The probes time
memory and arithmetic. A window whose probes differ by more than 5 % is dropped, because something
else ran then (for a prompt, where memory hardly matters, only arithmetic is compared). More windows
follow until enough were kept, or twice as many were tried. The result is the median of the windows'
ratios: the speed of lckv divided by the speed of the peer, or for `first` and `rss` the peer's
figure divided by lckv's.
It needs only Python's standard library.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

SHAKY = 0.05  # relative difference of a window's probes
FIRST_PROMPT = "Once upon a time,"


class Run:
    """A command that has ended: what it wrote, its seconds, and the most MiB that it had in memory."""

    def __init__(self, command, **environment):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            begin = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **environment}
            )
            _, status, usage = os.wait4(process.pid, 0)
            self.seconds = time.perf_counter() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            self.out, self.err = [file.seek(0) or file.read() for file in (out, err)]
        self.mebibytes = usage.ru_maxrss / 1024
        if process.returncode != 0:
            sys.exit(f"compare: {' '.join(command)} failed:\n{self.err.strip()[-2000:]}")


class Test:
    """One of the names above, taken apart. `figures` are what it measures."""

    def __init__(self, name):
        match = re.fullmatch(r"pp(\d+)(?:\+tg(\d+))?|tg(\d+)(?:@(\d+))?|b(\d+)|rss(\d+)|first", name)
        if match is None:
            sys.exit(f"compare: no such test: {name}; --help lists them")
        prompt, decode_after, decode, depth, batch, rss_prompt = (int(number or 0) for number in match.groups())
        self.name = name
        self.is_first, self.is_rss = name == "first", rss_prompt > 0
        self.less_is_better = self.is_first or self.is_rss
        self.is_both = decode_after > 0
        self.prompt = prompt or rss_prompt
        self.decode = decode_after or decode or (64 if batch else 0)
        self.batch = batch or 1
        self.depth = prompt if self.is_both else depth or (128 if batch else 0)
        needs_memory = self.decode > 0 or self.is_first
        self.probes = ["memory", "arithmetic"] if needs_memory else ["arithmetic"]  # what the test depends on
        self.figures = [f"pp{prompt}", f"tg{self.decode}@{self.depth}"] if self.is_both else [name]


class Lckv:
    def __init__(self, program, threads, name, arguments):
        self.program, self.threads, self.name, self.arguments = program, threads, name, arguments
        self.version = Run([program, "--version"]).out.split("\n")[0]
        self.setting = {}  # until it has run

    def bench(self, model, prompt, decode, depth, batch):
        done = Run(
            [self.program, "bench", model, "-p", str(prompt), "-n", str(decode), "-d", str(depth), "-b", str(batch),
             "-r", "1", "-t", str(self.threads), "--json", *self.arguments]
        )  # fmt: skip
        answer = json.loads(done.out)
        self.setting = {key: answer[key] for key in ("kernel_set", "precision", "kv_type", "prefill")}
        return answer["tests"][-1]["median"], done.mebibytes

    def measure(self, model, test):
        if test.is_first:
            command = [self.program, "generate", model, "-p", FIRST_PROMPT, "-n", "1", "-t", str(self.threads)]
            return [1000 * Run([*command, *self.arguments]).seconds]
        if test.is_rss:
            return [self.bench(model, test.prompt, 0, 0, 1)[1]]
        if test.is_both:
            return [
                self.bench(model, test.prompt, 0, 0, 1)[0],
                self.bench(model, 0, test.decode, test.depth, 1)[0],
            ]
        return [self.bench(model, test.prompt, test.decode, test.depth, test.batch)[0]]


class Peer:
    def __init__(self, text, threads):
        self.name, _, rest = text.partition("=")
        folder, *self.arguments = rest.split(",")
        if not rest:
            sys.exit(f"compare: --peer {text}: expected NAME=FOLDER")
        self.environment = {"OMP_NUM_THREADS": str(threads)}
        self.threads = ["-t", str(threads)]
        folder = os.path.expanduser(folder)
        self.program = os.path.join(folder, "llama-bench")
        self.batched = os.path.join(folder, "llama-batched-bench")
        self.completion = os.path.join(folder, "llama-completion")
        if not os.path.exists(self.completion):
            self.completion = os.path.join(folder, "llama-cli")  # its former name
        usage = subprocess.run([self.program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.has_depth = "--n-depth" in usage.stdout
        self.version = None  # until llama-bench has run

    def flags(self):
        """The arguments for programs other than llama-bench, where -rtr is a flag and has no number."""
        return [a for i, a in enumerate(self.arguments) if i == 0 or self.arguments[i - 1] != "-rtr"]

    def measure_batched(self, model, test):
        room = test.batch * (test.depth + test.decode + 8)
        done = Run(
            [self.batched, "-m", model, *self.threads, "-c", str(room), "-b", "2048", "-npp", str(test.depth),
             "-ntg", str(test.decode), "-npl", str(test.batch), *self.flags()],
            **self.environment,
        )  # fmt: skip
        row = re.findall(r"^\|\s*\d.*", done.out + "\n" + done.err, re.M)[-1].split("|")
        return [float(row[6]), float(row[8])] if test.is_both else [float(row[8])]

    def measure_first(self, model):
        command = [self.completion, "-m", model, *self.threads, "-c", "512", "-p", FIRST_PROMPT, "-n", "1",
                   "--no-warmup", *self.flags()]  # fmt: skip
        if self.completion.endswith("completion"):
            command.append("-no-cnv")
        return [1000 * Run(command, **self.environment).seconds]

    def measure(self, model, test):
        if test.is_first:
            return self.measure_first(model)
        if test.batch > 1 or test.is_both:
            return self.measure_batched(model, test)
        return [self.bench(model, test)[test.is_rss]]

    def bench(self, model, test):
        counts = ["-p", str(test.prompt), "-n", str(test.decode)]
        if test.depth > 0 and self.has_depth:
            counts += ["-d", str(test.depth)]
        elif test.depth > 0:
            counts = ["-p", "0", "-n", "0", "-gp", f"{test.depth},{test.decode}"]
        command = [self.program, "-m", model, *counts, *self.threads, "-r", "1", "-o", "json", *self.arguments]
        done = Run(command, **self.environment)
        answer = json.loads(done.out)[-1]
        self.version = str(answer.get("build_commit", "unknown"))
        return answer["avg_ts"], done.mebibytes

    def ask_version(self, model):
        if self.version is None:
            self.bench(model, Test("pp1"))
        return self.version


class Probe:
    """What the machine gives right now: bytes per second read, and steps of a loop."""

    def __init__(self, lckv):
        small = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "models")
        small = os.path.join(small, "stories-lckv-q8_0.gguf")
        self.command = [lckv.program, "bench", small, "-p", "0", "-n", "1", "-r", "1", "-t", str(lckv.threads), "--json"]

    def measure(self):
        memory = json.loads(Run(self.command).out)["tests"][-1]
        begin = time.perf_counter()
        sum(range(3_000_000))
        return {
            "memory": memory["probe_gigabytes_per_second"],
            "arithmetic": 3 / (time.perf_counter() - begin),
        }


def is_steady(before, after, keys):
    return all(abs(before[key] / after[key] - 1) <= SHAKY for key in keys)


def fastest(model, test, settings):
    """The best of a peer's settings, in two runs each; all of them if each figure may have its own."""
    if len(settings) == 1 or test.is_both:
        return settings
    best = min if test.less_is_better else max
    runs = [(peer.measure(model, test)[0], i) for i, peer in 2 * list(enumerate(settings))]
    return [settings[best(runs)[1]]]


def compare(model, test, lckvs, peers, probe, n_windows):
    """Results for every figure of the test, every lckv and every peer, which is a list of settings."""
    engines, windows = [*lckvs, *(setting for peer in peers for setting in peer)], []
    before, n_kept = probe.measure(), 0
    while n_kept < n_windows and len(windows) < 2 * n_windows:
        if sys.stderr.isatty():
            print(f"\r{test.name}: window {len(windows) + 1}, {n_kept} of {n_windows} kept", end="", file=sys.stderr)
        order = engines if len(windows) % 2 == 0 else engines[::-1]
        figures = {id(engine): engine.measure(model, test) for engine in order}
        after = probe.measure()
        kept = is_steady(before, after, test.probes)
        windows.append((figures, [before, after], kept))
        n_kept += kept
        before = after
    if sys.stderr.isatty():
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return [
        {
            "model": os.path.basename(model),
            "test": figure + lckv.name,
            "less_is_better": test.less_is_better,
            "peer": peer[0].name,
            "windows": [
                {
                    "figures": {"lckv": figures[id(lckv)][f], peer[0].name: max(figures[id(s)][f] for s in peer)},
                    "probes": probes,
                    "kept": kept,
                }
                for figures, probes, kept in windows
            ],
            "lckv": {"version": lckv.version, "arguments": lckv.arguments, **lckv.setting},
            "peer_build": {"version": peer[0].ask_version(model), "arguments": [s.arguments for s in peer]},
        }
        for f, figure in enumerate(test.figures)
        for lckv in lckvs
        for peer in peers
    ]


def summary(result):
    """Medians over the windows that were kept, or over all windows if none was kept."""
    kept = [w for w in result["windows"] if w["kept"]] or result["windows"]
    names = ("lckv", result["peer"])
    figure = {name: statistics.median(w["figures"][name] for w in kept) for name in names}
    better, worse = names[::-1] if result["less_is_better"] else names
    ratios = sorted(w["figures"][better] / w["figures"][worse] for w in kept)
    return {
        "lckv": figure["lckv"],
        "peer": figure[result["peer"]],
        "ratio": statistics.median(ratios),
        "least": ratios[0],
        "most": ratios[-1],
        "bandwidth": statistics.median(p["memory"] for w in kept for p in w["probes"]),
        "kept": sum(w["kept"] for w in result["windows"]),
        "windows": len(result["windows"]),
    }


def table(results):
    lines = [
        "| model | test | peer | lckv | the peer | ratio (least to most) | windows kept |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        s = summary(result)
        lines.append(
            f"| {result['model']} | {result['test']} | {result['peer']} | {s['lckv']:.1f} | {s['peer']:.1f} "
            f"| {s['ratio']:.2f} ({s['least']:.2f} to {s['most']:.2f}) | {s['kept']} of {s['windows']} |"
        )
    return "\n".join(lines) + "\n"


def plot(results):
    """Ratios as bars, as SVG; a line marks 1, where lckv is as fast as the peer."""
    scale, left, height = 150, 330, 24
    longest = max(summary(r)["ratio"] for r in results)
    width, total = int(left + scale * longest + 70), height * len(results) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{total}" fill="white"/>',
    ]
    for i, result in enumerate(results):
        ratio, y = summary(result)["ratio"], 10 + i * height
        label = f"{result['model'].removesuffix('.gguf')} {result['test']} / {result['peer']}"
        colour = "#2a7f62" if ratio >= 1 else "#b5523b"
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{label}</text>',
            f'<rect x="{left}" y="{y + 2}" width="{ratio * scale:.0f}" height="{height - 7}" fill="{colour}"/>',
            f'<text x="{left + ratio * scale + 5:.0f}" y="{y + 14}">{ratio:.2f}</text>',
        ]
    x = left + scale
    parts += [
        f'<line x1="{x}" y1="4" x2="{x}" y2="{total - 22}" stroke="#333" stroke-dasharray="4 3"/>',
        f'<text x="{x}" y="{total - 8}" text-anchor="middle">as fast as the peer</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        text = file.read()
    name = re.search(r"^model name\s*: (.*)$", text, re.M)
    return {"processor": name[1] if name else "unknown", "processors": os.cpu_count()}


def write(path, text):
    if path is not None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="GGUF files that all engines read")
    parser.add_argument("--lckv", default="build/lckv", help="the command (default build/lckv)")
    parser.add_argument("--lckv-arguments", default="", help="for lckv: --lckv-arguments='--kv-type bf16'")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME=ARGUMENT[,ARGUMENT...]",
        help="lckv once more with other arguments: 'bf16 KV=--kv-type,bf16'",
    )  # fmt: skip
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER[,ARGUMENT...]")
    parser.add_argument("--test", action="append", default=[], help="see above; may come several times")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all processors")
    parser.add_argument("--windows", type=int, default=9, help="to keep; default 9")
    parser.add_argument("--output", metavar="FILE", help="JSON; what the file holds already is kept")
    parser.add_argument("--report", metavar="FILE", help="measure nothing: table and plot of this JSON")
    parser.add_argument("--table", metavar="FILE", help="Markdown")
    parser.add_argument("--plot", metavar="FILE", help="SVG")
    options = parser.parse_args()

    figures = {"machine": machine(), "results": []}
    known = options.report or options.output
    if known is not None and (options.report or os.path.exists(known)):
        try:
            with open(known, encoding="utf-8") as file:
                figures = json.load(file)
        except OSError as error:
            sys.exit(f"compare: {error}")
        if any("figures" not in w for result in figures["results"] for w in result["windows"]):
            sys.exit(f"compare: {known} is of an earlier version; choose another file")
        if options.report is None and figures["machine"] != machine():
            sys.exit(f"compare: {known} has figures of another machine; choose another --output")
    if options.report is None:
        if not options.models or not options.peer or not options.test:
            parser.error("expected models, --peer and --test, or --report")
        lckvs = [Lckv(options.lckv, options.threads, "", options.lckv_arguments.split())]
        for text in options.variant:
            name, _, arguments = text.partition("=")
            lckvs.append(Lckv(options.lckv, options.threads, ", " + name, arguments.split(",")))
        settings = [Peer(text, options.threads) for text in options.peer]
        names = list(dict.fromkeys(peer.name for peer in settings))
        tests = [Test(name) for name in options.test]
        probe = Probe(lckvs[0])
        for model in options.models:
            for test in tests:
                peers = [fastest(model, test, [p for p in settings if p.name == name]) for name in names]
                for result in compare(model, test, lckvs, peers, probe, options.windows):
                    result["threads"] = options.threads
                    keys = ("model", "test", "peer")
                    others = [r for r in figures["results"] if any(r[key] != result[key] for key in keys)]
                    figures["results"] = [*others, result]
                    print(table([result]).split("\n")[2], flush=True)
                write(options.output, json.dumps(figures, indent=1) + "\n")
    else:
        print(table(figures["results"]), end="")
    write(options.table, table(figures["results"]))
    if options.plot is not None and figures["results"]:
        write(options.plot, plot(figures["results"]))


if __name__ == "__main__":
    main()
