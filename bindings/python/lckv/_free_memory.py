"""How much memory a cache may take if nobody says so."""

from __future__ import annotations

import os
import re
from typing import Optional, Union

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
UNITS.update({f"{unit}i": 1024 ** (power + 1) for power, unit in enumerate("kmgt")})
GROUP = "/sys/fs/cgroup"


def byte_count(memory: Union[int, str]) -> int:
    """8589934592, "8589934592", "8GiB", "8G" and "8.5 GB" as bytes: G is 1000 to the third, Gi 1024 to the third."""

    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]i?|)b?\s*", memory.lower())
        if match is None:
            raise ValueError(f"memory is {memory!r}; expected bytes, or a number with a unit such as '8GiB'")
        memory = int(float(match[1]) * UNITS[match[2]]) if match[2] else int(float(match[1]))
    if memory <= 0:
        raise ValueError(f"memory is {memory} bytes; expected more than 0")
    return memory


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _group_left() -> Optional[int]:
    """What the process's control group still allows, in containers; None if there is no limit."""

    limit, used = _read(f"{GROUP}/memory.max").strip(), _read(f"{GROUP}/memory.current").strip()
    if not limit.isdigit() or not used.isdigit():
        return None
    return max(int(limit) - int(used), 0)


def available_bytes() -> int:
    """What the system could give to this process now."""

    match = re.search(r"^MemAvailable:\s*([0-9]+) kB", _read("/proc/meminfo"), re.MULTILINE)
    free = int(match[1]) * 1024 if match else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    left = _group_left()
    return free if left is None else min(free, left)
