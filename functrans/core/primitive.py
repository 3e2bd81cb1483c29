"""Primitives: the operations that programs are made of, each one object with all its rules.

`bind` is the single door through which every operation goes: it hands the operation to the innermost trace among its
operands, or, when all of them are plain values, evaluates it by NumPy at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from functrans import config
from functrans.core import watching
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.axes import bound_axes, needs_level
from functrans.core.jaxpr import axis_names, has_effect
from functrans.core.trace import Trace, Tracer, current_staging
from functrans.errors import FunctransError, NotDifferentiableError

Rule = Callable[..., Any]

#: Every primitive by name; the tests walk it.
registry: dict[str, Primitive] = {}


class _Muted(threading.local):
    on = False


_muted = _Muted()


@contextmanager
def muted() -> Iterator[None]:
    """Inside the block, effects that have no results are left out: what runs here has run before."""
    outer, _muted.on = _muted.on, True
    try:
        yield
    finally:
        _muted.on = outer


class Axis(NamedTuple):
    """The axis that a `vmap` maps over: its size and, where the user gave one, its name."""

    size: int
    name: Any = None


@dataclass(frozen=True)
class Reduction:
    """How a reduction over `params["axes"]` combines elements.

    `combine` is `add`, `mul`, `max`, `min`, `and`, `or` or `xor`; `identity(dtype)` is the value of an empty
    reduction.
    """

    combine: str
    identity: Callable[[Any], Any]


class Primitive:
    """One operation and its rules (see `docs/architecture.md` for their signatures)."""

    def __init__(self, name: str, *, multiple_results: bool = False):
        self.name = name
        self.multiple_results = multiple_results
        self.impl: Rule = self._missing("NumPy evaluation")
        self.abstract_eval: Rule = self._missing("abstract evaluation")
        self.jvp: Rule = self._not_differentiable
        self.linearize: Rule | None = None
        self.direct: Rule | None = None  # under `grad` at plain values, in one step (transforms/eager.py)
        self.taylor: Rule | None = None  # coefficients of power series; the jvp rule serves where there is none
        self.transpose: Rule = self._missing("transposition")
        self.batch: Rule = self._missing("batching")
        self.guard: Rule | None = None  # the same without harm where it must not run (transforms/guarding.py)
        self.lower: Rule | None = None
        self.reduction: Reduction | None = None
        self.native: Rule | None = None
        self.expand: Rule | None = None  # the same by other primitives: what the compiler makes of it
        self.stage: Rule | None = None  # replaces the staging of this primitive: (trace, args, params) -> tracers
        self.collective = False  # acts over a named axis: batched even when no operand is
        self.calls_user_rule = False  # its derivative runs the user's code, which may capture what it should not
        self.effect = False  # does something besides computing its results: never removed, never merged
        registry[name] = self

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the primitive: by the innermost trace among the operands, or by NumPy if there is none."""
        trace: Trace | None = None
        for a in args:
            if isinstance(a, Tracer) and (trace is None or a._trace.level > trace.level):
                trace = a._trace
        if self.multiple_results or self.effect:
            if self.multiple_results and bound_axes() and (names := axis_names(self, params)):
                staging = current_staging()
                if staging is not None and (trace is None or trace.level < needs_level(names)):
                    trace = staging  # collectives within: its results differ from example to example
            if self.effect and _muted.on and not params.get("out_avals"):
                return []
            staging = current_staging()
            if staging is not None and (trace is None or trace.level < staging.level) and has_effect(self, params):
                trace = staging  # it happens when the staged function runs, whatever its operands are
        if trace is not None:
            staging = current_staging()
            if staging is not None and staging.absorbs and trace.level < staging.level:
                trace = staging
        if trace is None:
            try:
                out = self.impl(*args, **params)
            except (TypeError, ValueError, IndexError) as error:
                self._explain(error, args, params)
                raise
            if config.watched and self.name != "constant":
                watching.check_results(self.name, args, out if self.multiple_results else [out])
            return out
        return trace.process(self, args, params)

    def _explain(self, error: Exception, args: Any, params: dict[str, Any]) -> None:
        """Raise what abstract evaluation says of operands that NumPy refused, so that both say the same."""
        if isinstance(error, FunctransError):
            return
        try:
            self.abstract_eval(*[aval_of(a) for a in args], **params)
        except FunctransError as explained:
            raise explained from error

    def get_bind_params(self, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What to bind for the params of an equation, as interpreters written for JAX ask: operands before, params."""
        return [], dict(params)

    def create(self, *args: Any, **params: Any) -> Any:
        """Like `bind`, for operations that make large arrays from nothing: staged whenever a trace is under way."""
        staging = current_staging()
        if staging is not None and not any(isinstance(a, Tracer) for a in args):
            return staging.process(self, args, params)
        return self.bind(*args, **params)

    def _missing(self, rule: str) -> Rule:
        def missing(*args: Any, **params: Any) -> Any:
            raise NotImplementedError(f"primitive {self.name} has no rule for {rule}")

        return missing

    def _not_differentiable(self, primals: Any, tangents: Any, **params: Any) -> Any:
        raise NotDifferentiableError(f"{self.name} has no derivative")

    def __repr__(self) -> str:
        return self.name


def lookup(name: str) -> Primitive:
    """The primitive of that name, for layers that stand below the family it belongs to."""
    return registry[name]


def zeros(aval: ShapedArray) -> Any:
    """Zeros of a type; inside a staged function an equation, not a constant."""
    from functrans.core.array import asarray_scalar

    return lookup("broadcast_in_dim").create(
        asarray_scalar(aval.dtype.type(0)), shape=aval.shape, broadcast_dimensions=()
    )
