#!/usr/bin/env python3
"""Measures how near prompts come to the exact ones and what they cost, for windows and iterations, and writes the table
of docs/prefill.md, between its markers, and its plot, docs/prefill.svg.

    bench/prefill.py [--build build] [--model MODEL] [--text TEXT]

make bench-prefill runs it. It takes about a minute and needs only Python's standard library.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHOWN = ((4, 1e-2), (8, 1e-2), (16, 1e-2), (32, 1e-2), (64, 1e-2), (8, 1e-3), (16, 1e-3), (32, 1e-3), (16, 3e-3), (16, 1e-1))
COLOURS = {4: "#3b62b5", 8: "#2a7f62", 16: "#c7862b", 32: "#b5523b", 64: "#7b4a9e"}  # of windows
ITERATED = "#888"


def significant(value, digits):
    return f"{value:.{digits}g}" if value else "0"


def table(rows):
    lines = ["| method | work | reads | largest deviation | mean | same token |", "| --- | ---: | ---: | ---: | ---: | ---: |",
             "| exact | 1 | 1 | 0 | 0 | 100 % |"]  # fmt: skip
    shown = [(f"iterated, {row['passes'] - 2} + 2", row) for row in rows if row["passes"] in (9, 12)]
    by_options = {(row["window"], round(row["tolerance"], 6)): row for row in rows}
    for window, tolerance in SHOWN:
        shown.append((f"W = {window}, tolerance {tolerance:g}", by_options[window, tolerance]))
    for name, row in shown:
        lines.append(
            f"| {name} | {row['work']:.2f} | {significant(row['reads'], 2)} | {significant(row['deviation'], 2)} | "
            f"{significant(row['mean_deviation'], 2)} | {100 * row['argmax']:.3g} % |"
        )
    return lines


class Axes:
    """Work from left to right, deviation on a logarithmic scale."""

    left, right, top, bottom = 70, 560, 40, 330

    def __init__(self, points):
        self.most = math.ceil(max(x for x, _ in points) / 5) * 5
        self.low = math.floor(math.log10(min(y for _, y in points)))
        self.high = math.ceil(math.log10(max(y for _, y in points)))

    def x(self, work):
        return self.left + work / self.most * (self.right - self.left)

    def y(self, deviation):
        return self.bottom - (math.log10(deviation) - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def draw(self):
        parts = []
        for power in range(self.low, self.high + 1):
            y = self.y(10**power)
            parts += [f'<line x1="{self.left}" y1="{y:.0f}" x2="{self.right}" y2="{y:.0f}" stroke="#ddd"/>',
                      f'<text x="{self.left - 8}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>']  # fmt: skip
        for work in range(0, self.most + 1, 5):
            parts.append(f'<text x="{self.x(work):.0f}" y="{self.bottom + 18}" text-anchor="middle">{work}</text>')
        middle = (self.left + self.right) / 2
        parts.append(f'<text x="{middle:.0f}" y="{self.bottom + 36}" text-anchor="middle">work: passes for each token</text>')
        return parts


def plot(rows):
    curves = {"iterated, m + 2": (ITERATED, [row for row in rows if row["passes"]])}
    for window, colour in COLOURS.items():
        curves[f"W = {window}"] = (colour, [row for row in rows if row["window"] == window])
    curves = {name: (colour, sorted((row["work"], row["deviation"]) for row in of)) for name, (colour, of) in curves.items()}
    axes = Axes([point for _, points in curves.values() for point in points])
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="720" height="380" font-family="sans-serif" font-size="12">',
             '<rect width="720" height="380" fill="white"/>',
             f'<text x="{axes.left}" y="22" font-weight="bold">Largest deviation from the exact logits, in their standard '
             'deviations</text>', *axes.draw()]  # fmt: skip
    for i, (name, (colour, points)) in enumerate(curves.items()):
        at = [(axes.x(x), axes.y(y)) for x, y in points]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>' for x, y in at]
        y = axes.top + 10 + 18 * i
        parts += [f'<line x1="570" y1="{y}" x2="590" y2="{y}" stroke="{colour}" stroke-width="2"/>',
                  f'<text x="596" y="{y + 4}">{name}</text>']  # fmt: skip
    return "\n".join([*parts, "</svg>"]) + "\n"


def replace_table(path, lines):
    with open(path) as file:
        page = file.read()
    text = "\n".join(lines)
    new, n = re.subn(r"(<!-- table: bench/prefill.py -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page, flags=re.DOTALL)
    if n != 1:
        sys.exit(f"{path}: the markers of the table are not there once")
    with open(path, "w") as file:
        file.write(new)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="where bench/windows is (build)")
    parser.add_argument("--model", default=os.path.join(ROOT, "examples/models/stories-lckv-q8_0.gguf"), help="a trained one")
    parser.add_argument("--text", default=os.path.join(ROOT, "tests/data/heldout.txt"), help="its first 256 tokens are taken")
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "bench/windows")
    output = subprocess.run([program, arguments.model, arguments.text], check=True, stdout=subprocess.PIPE).stdout
    rows = json.loads(output)["rows"]
    replace_table(os.path.join(ROOT, "docs/prefill.md"), table(rows))
    with open(os.path.join(ROOT, "docs/prefill.svg"), "w") as file:
        file.write(plot(rows))


if __name__ == "__main__":
    main()
