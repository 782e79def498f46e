#!/usr/bin/env python3
"""What layer plans save: sessions that fit into a memory, by the length of their texts.

    python3 plot_plans.py [FILE.svg]

Without matplotlib it prints the numbers only. The model is any of 32 layers with 8 key-value heads of 128 elements.
"""

import sys

import lckv

LAYERS = 32
MEMORY = 16 << 30
CONTEXTS = [1024, 2048, 4096, 8192, 16384, 32768]
PLANS = {
    "standard": None,
    "CLA-2": "_".join(str(i // 2 * 2) for i in range(LAYERS)),
    "YOCO-like": "_".join([f"{i}s" for i in range(15)] + ["15"] * 17),
    "LCKV, w = 2": "_".join(["0", *["30"] * 30, "31"]),
}


def sessions(text):
    plan = lckv.Plan(text, LAYERS)
    window = 4096 if any(layer.is_windowed for layer in plan.layers) else 0
    return [
        lckv.memory_estimate(
            plan, n_kv_heads=8, head_dim=128, sliding_window=window, context=context, budget_bytes=MEMORY
        ).sessions_that_fit
        for context in CONTEXTS
    ]


def main():
    rows = {name: sessions(text) for name, text in PLANS.items()}
    print(f"{'tokens':12}", *(f"{context:7}" for context in CONTEXTS))
    for name, counts in rows.items():
        print(f"{name:12}", *(f"{count:7}" for count in counts))
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    for name, counts in rows.items():
        pyplot.plot(CONTEXTS, counts, marker="o", label=name)
    pyplot.xscale("log", base=2)
    pyplot.yscale("log")
    pyplot.xlabel("tokens of a session")
    pyplot.ylabel(f"sessions in {MEMORY >> 30} GiB")
    pyplot.legend()
    if len(sys.argv) > 1:
        pyplot.savefig(sys.argv[1])
    else:
        pyplot.show()


if __name__ == "__main__":
    main()
