"""Layer plans, and the memory that they need."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple, Type, TypeVar

from . import _declarations as c
from ._errors import check
from ._handles import Handle
from ._library import library
from ._structs import UNLIMITED, dtype_number, encoded, new, number, read, written

T = TypeVar("T")


@dataclass(frozen=True)
class PlanInfo:
    """The numbers of a plan."""

    n_layers: int
    n_slots: int
    """Layers that compute keys and values; the cache has memory for these only."""
    n_windowed_slots: int
    """Slots that only windowed layers read, so that they forget old tokens."""
    n_upward: int
    """Layers whose source lies above them."""
    n_groups: int
    is_standard: bool
    """Every layer is its own source, and none is windowed."""


@dataclass(frozen=True)
class Layer:
    """What a layer of a plan attends to."""

    source: int
    """The layer whose keys and values it attends to."""
    is_upward: bool
    is_windowed: bool
    slot: Optional[int]
    """The slot that it writes; None if it computes no keys and values."""
    source_slot: int
    """The slot that it reads."""


@dataclass(frozen=True)
class Slot:
    """A place in the cache for the keys and values of one layer."""

    layer: int
    n_readers: int
    is_windowed: bool


@dataclass(frozen=True)
class Group:
    """Layers `first` to `last`, which iterated encoding computes together; several times, if the group is cyclic."""

    first: int
    last: int
    is_cyclic: bool


class Plan(Handle):
    """Says which layer attends to the keys and values of which.

    ``Plan("0_6_6_6_6_6_6_7", 8)`` gives each of 8 layers its source; a trailing ``s`` makes a layer attend to a
    sliding window. ``Plan(None, 8)`` is the standard plan, in which every layer is its own source.

        >>> plan = lckv.Plan("0_6_6_6_6_6_6_7", 8)
        >>> plan.info.n_slots
        3
        >>> print(plan.describe())
    """

    _kind = "plan"

    def __init__(self, text: Optional[str], n_layers: int) -> None:
        plan = ctypes.c_void_p()
        source = None if text is None else encoded(text)
        number(ctypes.c_uint32, "n_layers", n_layers)
        check(library.lckv_plan_parse(source, len(source or b""), n_layers, ctypes.byref(plan)))
        self._own(plan.value)

    @property
    def info(self) -> PlanInfo:
        """The numbers of the plan."""

        return self._get(PlanInfo, library.lckv_plan_get_info, c.lckv_plan_info)

    @property
    def layers(self) -> List[Layer]:
        """What each layer attends to."""

        made = []
        for i in range(self.info.n_layers):
            info = new(c.lckv_layer_info)
            check(library.lckv_plan_get_layer(self._handle, i, info))
            made.append(read(Layer, info, slot=info.slot if info.slot >= 0 else None))
        return made

    @property
    def slots(self) -> List[Slot]:
        """The places for keys and values."""

        n = self.info.n_slots
        return [self._get(Slot, library.lckv_plan_get_slot, c.lckv_slot_info, i) for i in range(n)]

    @property
    def groups(self) -> List[Group]:
        """What iterated encoding computes together, in its order."""

        n = self.info.n_groups
        return [self._get(Group, library.lckv_plan_get_group, c.lckv_group_info, i) for i in range(n)]

    def _get(self, kind: Type[T], call: Any, struct: Any, *index: int) -> T:
        info = new(struct)
        check(call(self._handle, *index, info))
        return read(kind, info)

    @property
    def text(self) -> str:
        """The plan in the plan language."""

        return written(library.lckv_plan_text, self._handle).decode()

    def describe(self) -> str:
        """A drawing for people: a line for each layer, with what it reads and writes."""

        return written(library.lckv_plan_describe, self._handle).decode()

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def _describe(self) -> str:
        return repr(self.text)


@dataclass(frozen=True)
class MemoryReport:
    """What `memory_estimate` tells, in bytes. The members `standard_...` are those of the standard plan."""

    bytes_per_token: int
    standard_bytes_per_token: int
    bytes_per_session: int
    standard_bytes_per_session: int
    bytes_needed: int
    sessions_that_fit: int
    standard_sessions_that_fit: int
    context_that_fits: Optional[int]
    """The most tokens that each session may have; None if there is no limit."""
    full_bytes_per_token: int
    """Of `bytes_per_token`: in slots that are not windowed."""


def memory_estimate(
    plan: Plan,
    n_kv_heads: int = 0,
    head_dim: int = 0,
    *,
    kv_dtype: Optional[str] = None,
    v_dtype: Optional[str] = None,
    sliding_window: int = 0,
    rollback: int = 0,
    page_positions: int = 0,
    context: int = 0,
    budget_bytes: int = 0,
    n_sessions: int = 0,
    context_window: int = 0,
    n_sinks: int = 0,
    kv_shapes: Sequence[Tuple[int, int]] = (),
) -> MemoryReport:
    """The memory of keys and values under a plan. It needs no model.

    Each layer has `n_kv_heads` heads of `head_dim` elements, or `kv_shapes` gives both for each layer. `context` is
    the tokens of each session (4096 if it is 0). Plans with windowed layers need a `sliding_window`. Other options
    are those of `Cache`.

        >>> plan = lckv.Plan("0_6_6_6_6_6_6_7", 8)
        >>> report = lckv.memory_estimate(plan, n_kv_heads=8, head_dim=128, budget_bytes=2**34)
        >>> report.sessions_that_fit, report.standard_sessions_that_fit
    """

    shapes = (c.lckv_kv_shape * len(kv_shapes))(*(c.lckv_kv_shape(*shape) for shape in kv_shapes))
    handle = plan._handle
    request = new(
        c.lckv_memory_request,
        plan=handle.address,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        kv_dtype=dtype_number(kv_dtype),
        v_dtype=dtype_number(v_dtype),
        sliding_window=sliding_window,
        rollback=rollback,
        page_positions=page_positions,
        context=context,
        budget_bytes=budget_bytes,
        n_sessions=n_sessions,
        context_window=context_window,
        n_sinks=n_sinks,
        kv_shapes=ctypes.addressof(shapes) if kv_shapes else None,
        n_kv_shapes=len(kv_shapes),
    )
    report = new(c.lckv_memory_report)
    check(library.lckv_memory_estimate(request, report))
    limit = None if report.context_that_fits == UNLIMITED else report.context_that_fits
    return read(MemoryReport, report, context_that_fits=limit)
