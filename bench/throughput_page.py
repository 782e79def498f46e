"""Writes the tables of docs/throughput.md, between its markers, and docs/throughput.svg. See throughput.py."""

import os
import re

NAMES = {"w10": "LCKV, w = 10", "w2": "LCKV, w = 2", "cla2": "CLA-2", **{n: n for n in ("standard", "sandwich-middle")}}
COLOURS = {"q4_0": "#2a7f62", "q8_0": "#b5523b", "bf16": "#3b62b5"}


def number(value):
    """Three digits, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    """`head`: titles; those of columns of numbers begin with >."""
    lines = [head, ["---:" if title.startswith(">") else "---" for title in head], *rows]
    return [f"| {' | '.join(str(cell).lstrip('>') for cell in line)} |" for line in lines]


def origin(section):
    kind = "a quick run with few repeats" if section["quick"] else "a full run"
    busy = f", beside other programs (load {section['load']})" if section["load"] > 1 else ""
    return [f"{section['version']}, {section['date']}, on {section['machine']}; {kind}{busy}.", ""]


def megabytes(n_bytes):
    return f"{n_bytes / 1e6:,.1f} MB"


def left_out(section):
    """What could not be measured, and why."""
    failures = [failure for row in section["rows"] for failure in row["failures"]]
    messages = dict.fromkeys(failure["message"].split("\n")[0] for failure in failures)
    return [line for message in messages for line in ("", f"Left out: {message}")]


def fit(section):
    rows, standard = [], {}
    for row in section["rows"]:
        key = (row["context"], row["standard_sessions"])
        if row["plan"] == "standard":
            standard[key] = row
        base = standard[key]
        rows.append((key, [
            f"{row['context']:,}", megabytes(row["kv_bytes"]), NAMES[row["plan"]], row["n_slots"],
            f"{row['planned_sessions']:,}", f"{row['sessions']:,}", number(row["sessions"] / base["sessions"]),
            number(base["n_slots"] / row["n_slots"]),
        ]))  # fmt: skip
    rows.sort(key=lambda row: row[0][::-1])
    head = ["context", ">budget", "plan", ">slots", ">planned", ">sessions", ">ratio", ">ratio of slots"]
    return table(head, [row for _, row in rows])


def batch(section):
    rows = []
    for row in section["rows"]:
        speeds = row["tokens_per_second"]
        rows.append([
            row["weights"], *(number(speeds[k]) for k in ("1", "8", "32", "prompt")), number(row["8_over_1"]),
            number(row["32_over_prompt"]), number(row["probe_gigabytes_per_second"]),
            number(speeds["1"] * row["decode_bytes"] / 1e9),
        ])  # fmt: skip
    head = ["weights", ">batch 1", ">batch 8", ">batch 32", ">prompt", ">8 over 1", ">32 over prompt", ">memory, GB/s",
            ">read by batch 1, GB/s"]  # fmt: skip
    return table(head, rows)


def pairs(section):
    return [row for row in section["rows"] if len(row["plans"]) == 2]


def memory(section):
    rows = []
    for row in pairs(section):
        base, shared = row["plans"]
        rows.append([
            row["weights"], row["kv_type"], row["standard_sessions"], megabytes(base["about"]["kv_bytes"]), base["batch"],
            shared["batch"], number(base["whole_run"]), number(shared["whole_run"]),
            *map(number, shared["ratios"]), number(shared["whole_run_ratio"]),
        ])  # fmt: skip
    depths = [f">ratio at {depth}" for depth in pairs(section)[0]["plans"][0]["depths"]] if pairs(section) else []
    head = ["weights", "KV", ">budget in sessions", ">in bytes", ">sessions, standard", ">w = 2", ">tokens/s, standard",
            ">w = 2", *depths, ">whole run"]  # fmt: skip
    return table(head, rows) + left_out(section)


def plans(section):
    lines = []
    for row in section["rows"]:
        if len(row["plans"]) > 2:
            lines += [f"Weights of {row['weights']}, keys and values of {row['kv_type']}, "
                      f"{megabytes(row['plans'][0]['about']['kv_bytes'])}:", ""]  # fmt: skip
            lines += table(["plan", ">slots", ">sessions", *(f">at {depth}" for depth in row["plans"][0]["depths"]),
                            ">whole run", ">over standard"], [
                [NAMES[r["plan"]], r["about"]["n_slots"], r["batch"], *map(number, r["tokens_per_second"]),
                 number(r["whole_run"]), number(r["whole_run_ratio"])] for r in row["plans"]
            ])  # fmt: skip
    return lines


def types(section):
    rows, base = [], None
    for row in section["rows"]:
        base = row if row["kv_type"] == "f16" else base
        rows.append([
            row["shape"], row["weights"], row["kv_type"], megabytes(row["bytes"]), number(row["tokens_per_second"]),
            number(row["over_f16"]), number(base["bytes"] / row["bytes"]),
        ])  # fmt: skip
    return table(["layers", "weights", "KV", ">a step reads", ">tokens/s", ">over f16", ">by bytes alone"], rows)


def peak_of(result):
    """The peak of the process: that of its control group, or where there is none, of its resident memory."""
    memory = result["memory"]
    return memory.get("cgroup_peak") or memory["resident_peak"]


def streamed(section):
    rows, limits = [], set()
    for row in section["rows"]:
        for result in row["plans"]:
            limits.add(result["memory"].get("limit", "none"))
            rows.append([
                row["shape"], NAMES[result["plan"]], result["kv_type"], result["batch"],
                *map(number, result["tokens_per_second"]), number(result["whole_run"]), number(result["whole_run_ratio"]),
                number(result["share_of_disk"]), f"{peak_of(result) / 2**20:,.0f}",
            ])  # fmt: skip
    if not rows:
        return ["Not measured."]
    head = ["layers", "plan", "KV", ">sessions", ">at 512", ">at 1024", ">at 1535", ">whole run", ">over the first",
            ">share of the disk", ">peak, MiB"]  # fmt: skip
    rates = [row["disk_bytes_per_second"] / 1e9 for row in section["rows"] if row["plans"]]
    return table(head, rows) + [
        "",
        f"The limit was set by {' and '.join(sorted(limits))}. Alone, the disk gave "
        f"{number(min(rates))} to {number(max(rates))} GB/s.",
    ] + left_out(section)


def line_plot(section, width, height):
    """w = 2 over standard by budget: a line for each type of weights, dashed with q8_0 keys and values."""
    left, bottom, top = 46, height - 40, 40
    lines = {}
    for row in pairs(section):
        lines.setdefault((row["weights"], row["kv_type"]), []).append((row["standard_sessions"], row["plans"][1]["whole_run_ratio"]))
    most = max((y for points in lines.values() for _, y in points), default=1)
    most = max(2, -(-most // 1))
    budgets = (1, 2, 4, 8)
    x_of = {b: left + 30 + i * (width - left - 130) / (len(budgets) - 1) for i, b in enumerate(budgets)}

    def y_of(value):
        return bottom - value / most * (bottom - top)

    parts = [f'<text x="{left}" y="20" font-weight="bold">Equal memory: tokens/s of w = 2 over standard</text>']
    step = 1 if most <= 8 else 2
    for tick in range(0, int(most) + 1, step):
        y = y_of(tick)
        parts += [f'<line x1="{left}" y1="{y:.0f}" x2="{width - 70}" y2="{y:.0f}" stroke="#ddd"/>',
                  f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{tick}</text>']  # fmt: skip
    for budget in budgets:
        parts.append(f'<text x="{x_of[budget]:.0f}" y="{bottom + 18}" text-anchor="middle">{budget}</text>')
    parts.append(f'<text x="{(left + width - 70) / 2:.0f}" y="{bottom + 34}" text-anchor="middle">budget, in standard sessions of 8192 tokens</text>')
    for (kind, kv), points in lines.items():
        dash = "" if kv == "f16" else ' stroke-dasharray="5 4"'
        at = [(x_of[x], y_of(y)) for x, y in points]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in at)
        parts += [f'<polyline points="{path}" fill="none" stroke="{COLOURS[kind]}" stroke-width="2"{dash}/>']
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{COLOURS[kind]}"/>' for x, y in at]
    for i, (kind, kv) in enumerate(lines):  # curves fall, so the upper right corner is free
        dash = "" if kv == "f16" else ' stroke-dasharray="5 4"'
        x, y = width - 215, top + 10 + 16 * i
        parts += [
            f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{COLOURS[kind]}" stroke-width="2"{dash}/>',
            f'<text x="{x + 34}" y="{y + 4}">{kind} weights, {kv} KV</text>',
        ]
    return parts


def bar_plot(section, x, width, height):
    """Streamed weights: tokens per second of all sessions together."""
    results = [(row["shape"], result) for row in section["rows"] for result in row["plans"]]
    parts = [f'<text x="{x}" y="20" font-weight="bold">Weights streamed from disk, 1 GiB in all: tokens/s</text>']
    most = max((result["whole_run"] for _, result in results), default=1)
    left, room = x + 190, width - 190 - 70
    for i, (shape, result) in enumerate(results):
        y = 40 + i * 28
        colour = "#2a7f62" if result["plan"] != "standard" else "#888"
        label = f"{shape} layers, {NAMES[result['plan']]}, {result['kv_type']} KV"
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{label}</text>',
            f'<rect x="{left}" y="{y + 2}" width="{max(1, result["whole_run"] / most * room):.0f}" height="17" fill="{colour}"/>',
            f'<text x="{left + result["whole_run"] / most * room + 5:.0f}" y="{y + 14}">{number(result["whole_run"])}</text>',
        ]  # fmt: skip
    return parts


def plot(results):
    width, height = 470, 320
    has_bars = "streamed" in results and any(row["plans"] for row in results["streamed"]["rows"])
    total = width * 2 + 30 if has_bars else width
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{total}" height="{height}" fill="white"/>',
    ]
    parts += line_plot(results["memory"], width, height)
    if has_bars:
        parts += bar_plot(results["streamed"], width + 20, width, height)
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(page, results):
    """Fills what stands between the lines `<!-- NAME -->` and `<!-- end -->`, where NAME was measured."""
    parts = {"fit": fit, "batch": batch, "memory": memory, "plans": plans, "types": types, "streamed": streamed}
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for name, part in parts.items():
        section = results.get("memory" if name == "plans" else name)
        if section is None:
            continue
        lines = "\n".join([*origin(section), *part(section)])
        text = re.sub(rf"(?s)(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{lines}\n\n{m[2]}", text)
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    if "memory" in results:
        with open(os.path.splitext(page)[0] + ".svg", "w", encoding="utf-8") as file:
            file.write(plot(results))
