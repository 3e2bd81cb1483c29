"""`jit`: trace a function once for each set of shapes and dtypes, compile it, and run the native program after that."""

from __future__ import annotations

import functools
import importlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np

import functrans.api.devices as devices  # the module: the package has a function of this name
from functrans import config
from functrans.api.flattening import Flat, any_tracer, argument_names, check_leaf, name_of, static_arguments
from functrans.core.array import Array
from functrans.core.avals import ShapedArray, ShapeDtypeStruct
from functrans.core.axes import bound_axes
from functrans.core.forking import COMPILING
from functrans.core.jaxpr import ClosedJaxpr, axis_names, convert_constvars, jaxpr_has_effect
from functrans.core.placement import refuse_placement
from functrans.core.pytree import PyTreeDef, flatten, structure_error, unflatten
from functrans.core.trace import Tracer, current_staging, stage
from functrans.core.tracebacks import api_boundary
from functrans.core.tree_reader import reader
from functrans.errors import ArgumentError, ShapeError, StaticArgumentError, TreeStructureError
from functrans.lax.calls import check_compiled, jit_p

Fun = Callable[..., Any]


class _Program:
    """The compiler, imported when the first function is compiled."""

    def __getattr__(self, name: str) -> Any:
        with COMPILING:
            return getattr(importlib.import_module("functrans.compiler.program"), name)


program = _Program()


class _State(threading.local):
    disabled = False


_state = _State()


def _set_disabled(value: Any) -> None:
    _State.disabled = bool(value)


config.settable("jax_disable_jit", lambda: _state.disabled, _set_disabled)


@contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Inside the block `jit` does nothing: functions run eagerly, so that one can print values and debug.

    >>> import functrans as ft
    >>> with ft.disable_jit():
    ...     ft.jit(lambda x: x + 1 if x > 0 else x)(1.0)
    2.0
    """
    outer = vars(_state).get("disabled")
    _state.disabled = disable
    try:
        yield
    finally:
        if outer is None:
            del _state.disabled  # `config.update` may have said something meanwhile
        else:
            _state.disabled = outer


@overload
def jit(fun: None = None, **options: Any) -> Callable[[Fun], Jitted]: ...
@overload
def jit(
    fun: Fun,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    inline: bool = False,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    compiler_options: dict[str, Any] | None = None,
    in_shardings: None = None,
    out_shardings: None = None,
) -> Jitted: ...
def jit(fun: Fun | None = None, **options: Any) -> Any:
    """A function that is traced and compiled on its first call for each set of shapes and dtypes.

    Args:
        fun: a pure function of arrays and pytrees of them.
        static_argnums, static_argnames: arguments that are ordinary Python values while tracing (they must be
            hashable); each new value traces again.
        donate_argnums, donate_argnames: arguments whose arrays the caller gives away. Results may take their memory,
            and updates such as `x.at[i].set(v)` then happen in place; their contents are undefined after the call.
        inline: accepted; inner calls of `jit` are always inlined when a program is compiled.
        keep_unused: accepted.
        device: `cpu` or `cuda`, or one of `devices()`: where the function runs; arguments are copied there where they
            are not there yet. Without it, it runs where its arrays are.
        backend: the device by the name of its platform.
        compiler_options, in_shardings, out_shardings: `None`.

    Returns:
        A `Jitted` function; it has `trace`, `lower` and `clear_cache` besides.

    Kernels do not depend on sizes: a new shape traces again but compiles nothing new.

    >>> import functrans as ft, numpy as np
    >>> f = ft.jit(lambda x: np.sin(x) ** 2 + np.cos(x) ** 2)
    >>> f(np.array([0.5, 1.0]))
    Array([1., 1.])
    """
    if fun is None:
        return functools.partial(jit, **options)
    return Jitted(fun, **options)


def _types_of(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Dtypes and shapes of plain arrays, as a key; `None` where something else is among the values."""
    key: list[Any] = []
    for x in values:
        if type(x) is not np.ndarray and type(x) is not Array:
            return None
        key.append(x.dtype)
        key.append(x.shape)
    return tuple(key)


def _never(tree: Any) -> None:
    """The reader of no structure."""


def _types_on_gpu(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Dtypes and shapes of arrays that all are on the GPU, as a key."""
    if not all(isinstance(x, Tracer) and x.has_value for x in values):
        return None
    return tuple((x.aval.dtype, x.aval.shape) for x in values)


#: All functions under `jit` that are alive.
_functions: weakref.WeakSet[Jitted] = weakref.WeakSet()


class Jitted:
    """What `jit` returns: call it as the function, or look at the stages of its compilation.

    >>> import functrans as ft, numpy as np
    >>> f = ft.jit(np.sin)
    >>> isinstance(f, ft.api.Jitted), f.trace(1.0).out_info
    (True, ShapeDtypeStruct(shape=(), dtype=float64))
    """

    def __init__(
        self,
        fun: Fun,
        *,
        static_argnums: int | Sequence[int] | None = None,
        static_argnames: str | Sequence[str] | None = None,
        donate_argnums: Any = None,
        donate_argnames: Any = None,
        inline: bool = False,
        keep_unused: bool = False,
        device: Any = None,
        backend: str | None = None,
        compiler_options: dict[str, Any] | None = None,
        in_shardings: None = None,
        out_shardings: None = None,
    ):
        if not callable(fun):
            raise ArgumentError(f"jit takes a function, got {fun!r:.60} of type {type(fun).__name__}")
        refuse_placement("jit", in_shardings=in_shardings, out_shardings=out_shardings)
        if compiler_options:
            raise ArgumentError(f"jit takes no compiler_options, which are those of XLA; got {compiler_options!r:.60}")
        if backend is not None and device is not None:
            raise ArgumentError(f"jit takes a device or a backend, got both {device!r} and {backend!r}")
        device = backend if device is None else device
        functools.update_wrapper(self, fun)
        self._fun = fun
        self._name = name_of(fun)
        self._static_nums, self._static_names = static_arguments(fun, "jit", "static", static_argnums, static_argnames)
        self._donated_nums, self._donated_names = static_arguments(
            fun, "jit", "donate", donate_argnums, donate_argnames
        )
        both = {*self._static_nums} & {*self._donated_nums} or self._static_names & self._donated_names
        if both:
            raise ArgumentError(f"jit({self._name}) cannot donate static arguments; {min(both)!r} is named as both")
        self._device = None if device is None else devices.platform_of(device)
        self._has_static = bool(self._static_nums or self._static_names)
        self._by_signature: dict[Any, _Entry] = {}
        self._by_arrays: dict[Any, _Entry] = {}
        self._recent: tuple[Any, dict[Any, _Entry]] = _never, {}
        self._on_gpu: dict[Any, _Entry] = {}
        _functions.add(self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not _state.disabled and not self._has_static and devices.state.device is None:
            # the fast paths: arrays of types seen before
            if not kwargs:
                entry = self._by_arrays.get(_types_of(args))
                if entry is not None:
                    return entry.run(args)
                read, by_types = self._recent
                found = read(args)
                if found is not None:
                    entry = by_types.get(_types_of(found))
                    if entry is not None:
                        return entry.run(found)
            leaves, tree = flatten((args, kwargs))
            types = _types_of(leaves)
            entry = self._by_arrays.get((tree, types))
            if entry is not None:
                if not kwargs:
                    self._remember(tree, types, entry)
                return entry.run(leaves)
            if types is None and self._on_gpu:
                entry = self._on_gpu.get((tree, _types_on_gpu(leaves)))
                if entry is not None:
                    return entry.run_on_gpu(leaves)
        return self._call(args, kwargs)

    def _remember(self, tree: PyTreeDef, types: Any, entry: _Entry) -> None:
        """Keep a reader of the arguments' structure for the next call."""
        read = reader(tree.child(0)) or _never
        if self._recent[0] is not read:
            self._recent = read, {}
        self._recent[1][types] = entry

    @api_boundary
    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _state.disabled:
            return self._fun(*args, **kwargs)
        entry, leaves = self._entry(args, kwargs)
        collective = bool(bound_axes()) and bool(axis_names(jit_p, {"jaxpr": entry.callee}))
        effect = current_staging() is not None and jaxpr_has_effect(entry.callee)
        if collective or effect or any_tracer(leaves) or any_tracer(entry.closed.consts):
            outs = jit_p.bind(*entry.closed.consts, *leaves, jaxpr=entry.callee, name=self._name)
            return unflatten(entry.out_tree, outs)
        if devices.placement(self._device, self._name, leaves, entry.closed.consts) == "cuda":
            placed = _types_on_gpu(leaves)
            if placed and not self._has_static and not bound_axes() and not jaxpr_has_effect(entry.callee):
                self._on_gpu[entry.in_tree, placed] = entry
            return entry.run_on_gpu(leaves)
        leaves = [devices.device_get(x) if isinstance(x, Tracer) else x for x in leaves]  # for device="cpu"
        arrays = [np.asarray(x, v.aval.dtype) for x, v in zip(leaves, entry.closed.jaxpr.invars)]
        types = _types_of(leaves)
        as_they_are = types is not None and types == _types_of(arrays)
        if as_they_are and not self._has_static and not bound_axes() and not jaxpr_has_effect(entry.callee):
            flat = not kwargs and len(leaves) == len(args) and all(x is a for x, a in zip(leaves, args))
            self._by_arrays[types if flat else (entry.in_tree, types)] = entry
        return entry.run(arrays)

    def _entry(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_Entry, list[Any]]:
        """The traced function for these arguments, from the cache or anew, and the dynamic leaves."""
        names = functools.partial(self._leaf_names, args, kwargs)
        call, args, kwargs, static = self._bind_static(args, kwargs)
        leaves, tree = flatten((args, kwargs))
        avals: list[ShapedArray] = []
        for x in leaves:
            avals.append(check_leaf(x, lambda: f"{names()[len(avals)]}, an argument of {self._name},"))
        key = (static, tree, tuple(avals), bound_axes())
        try:
            entry = self._by_signature.get(key)
        except TypeError:
            raise self._unhashable(static) from None
        if entry is None:
            program.count_trace()

            def run(xs: list[Any]) -> Any:
                own_args, own_kwargs = unflatten(tree, xs)
                return call(*own_args, **own_kwargs)

            flat = Flat(run, self._name)
            start = time.perf_counter()
            jaxpr, consts = stage(flat, avals, f"{self._name} under jit", names())
            assert flat.out_tree is not None
            entry = _Entry(ClosedJaxpr(jaxpr, consts), tree, flat.out_tree, self._name)
            if self._donated_nums or self._donated_names:
                entry.donated = self._donated(tree, [i for i, _ in static[0][0]] if static else [])
            entry.names = names()
            entry.tracing = time.perf_counter() - start
            if not any_tracer(consts):
                self._by_signature[key] = entry
        return entry, leaves

    def _bind_static(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Fun, Any, Any, Any]:
        """Fix the static arguments: a function of the others, these, and the static values as part of the key."""
        if not self._has_static:
            return self._fun, args, kwargs, ()
        nums = self._static_positions(len(args))
        names = {k for k in kwargs if k in self._static_names}
        dynamic = tuple(a for i, a in enumerate(args) if i not in nums)
        static = (tuple((i, args[i]) for i in sorted(nums)), tuple((k, kwargs[k]) for k in sorted(names)))

        def call(*rest: Any, **own: Any) -> Any:
            free = iter(rest)
            full = [a if i in nums else next(free) for i, a in enumerate(args)]
            return self._fun(*full, **own, **{k: kwargs[k] for k in names})

        types = tuple(type(v) for part in static for _, v in part)  # 1, 1.0 and True are equal, and differ
        return call, dynamic, {k: v for k, v in kwargs.items() if k not in names}, (static, types)

    def _static_positions(self, n: int) -> set[int]:
        """The positions of static ones among `n` arguments."""
        return {i % n for i in self._static_nums if -n <= i < n}

    def _leaf_names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """The names of all leaves of the dynamic arguments."""
        static = self._static_positions(len(args))
        dynamic = [None if i in static else a for i, a in enumerate(args)]
        return argument_names(self._fun, dynamic, {k: v for k, v in kwargs.items() if k not in self._static_names})

    def _donated(self, tree: PyTreeDef, static: Sequence[int]) -> tuple[int, ...]:
        """The numbers of the leaves of donated arguments; at the positions `static` are arguments without leaves."""
        args, kwargs = unflatten(tree, range(tree.num_leaves))
        n = len(args) + len(static)
        positions = (i for i in range(n) if i not in static)
        given = [a for i, a in zip(positions, args) if i in self._donated_nums or i - n in self._donated_nums]
        return tuple(flatten((given, [v for k, v in kwargs.items() if k in self._donated_names]))[0])

    def _unhashable(self, static: Any) -> StaticArgumentError:
        for where, value in (pair for part in (static[0] if static else ()) for pair in part):
            try:
                hash(value)
            except TypeError:
                return StaticArgumentError(
                    f"the static argument {where!r} of {self._name} is {value!r:.60} of type "
                    f"{type(value).__name__}, which "
                    "cannot be hashed; static arguments are part of the cache's key. Use a tuple for a list, a frozen "
                    "dataclass for a dict, and pass arrays as ordinary arguments."
                )
        return StaticArgumentError(f"an argument of {self._name} cannot be hashed")

    @api_boundary
    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Trace for these arguments (arrays, or `ShapeDtypeStruct` for each) without compiling."""
        entry, leaves = self._entry(args, kwargs)
        return Traced(entry, devices.placement(self._device, self._name, leaves, entry.closed.consts))

    @api_boundary
    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Trace and lower for these arguments: what was made of the function, to be read or compiled."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the results, as a pytree of `ShapeDtypeStruct`."""
        return self.trace(*args, **kwargs).out_info

    def clear_cache(self) -> None:
        """Forget all traces of this function (kernels stay in the kernel caches)."""
        self._by_signature.clear()
        self._by_arrays.clear()
        self._recent = _never, {}
        self._on_gpu.clear()

    def __repr__(self) -> str:
        return f"<jit of {self._name}>"


class _Entry:
    """One trace of a function, and, once it has run, its program."""

    __slots__ = (
        "callee", "closed", "compiled", "compiling", "donated", "in_tree", "kernels", "name", "names", "on_gpu",
        "out_tree", "single", "tracing",
    )  # fmt: skip

    def __init__(self, closed: ClosedJaxpr, in_tree: PyTreeDef, out_tree: PyTreeDef, name: str):
        self.closed = closed
        self.callee = convert_constvars(closed.jaxpr)
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.name = name
        self.single = out_tree.is_leaf()
        self.donated: tuple[int, ...] = ()
        self.compiled: Any = None
        self.on_gpu: Any = None
        self.names: Sequence[str] = ()
        self.tracing = self.compiling = 0.0  # seconds
        self.kernels: tuple[int, int, int] | None = None  # compiled, loaded and reused for the first run

    def run(self, arrays: Sequence[Any]) -> Any:
        if self.compiled is None:
            self.compile()
        outs = self.compiled(*arrays)
        if config.watched:
            check_compiled(self.name, self.closed.jaxpr, self.closed.consts, arrays, outs)
        return outs[0] if self.single else unflatten(self.out_tree, outs)

    def run_on_gpu(self, leaves: Sequence[Any]) -> Any:
        closed = self.closed
        if self.on_gpu is None:
            self.on_gpu = devices.cuda.compile(closed.jaxpr, closed.consts)
        outs = devices.cuda.call(self.on_gpu, closed.jaxpr.in_avals, leaves)
        if config.watched:
            host = devices.device_get
            consts, arrays = list(map(host, closed.consts)), list(map(host, leaves))
            check_compiled(self.name, closed.jaxpr, consts, arrays, list(map(host, outs)))
        return outs[0] if self.single else unflatten(self.out_tree, outs)

    def compile(self) -> None:
        before, start = program.cache_info(), time.perf_counter()
        consts = [devices.cuda.to_host(c) if isinstance(c, Tracer) else c for c in self.closed.consts]
        with COMPILING:
            self.compiled = program.compile(self.closed.jaxpr, consts, self.donated).native
        after, self.compiling = program.cache_info(), time.perf_counter() - start
        self.kernels = (
            after.kernels_compiled - before.kernels_compiled,
            after.kernels_loaded - before.kernels_loaded,
            after.kernels_reused - before.kernels_reused,
        )


# ---------------------------------------------------------------- the stages, one by one


class Traced:
    """A traced function: its jaxpr and the structure of its results.

    >>> import functrans as ft, numpy as np
    >>> traced = ft.jit(np.sin).trace(1.0)
    >>> traced.out_info
    ShapeDtypeStruct(shape=(), dtype=float64)
    """

    def __init__(self, entry: _Entry, platform: str = "cpu"):
        self._entry = entry
        self._platform = platform

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The jaxpr, with the values of what the function captured."""
        return self._entry.closed

    @property
    def fun_name(self) -> str:
        """The function's name."""
        return self._entry.name

    @property
    def in_info(self) -> Any:
        """Shapes and dtypes of the arguments that are not static: a pair of the positional and the named ones."""
        avals = self._entry.closed.in_avals
        return unflatten(self._entry.in_tree, [ShapeDtypeStruct(a.shape, a.dtype, a.weak) for a in avals])

    @property
    def out_info(self) -> Any:
        """Shapes and dtypes of the results."""
        avals = self._entry.closed.out_avals
        return unflatten(self._entry.out_tree, [ShapeDtypeStruct(a.shape, a.dtype, a.weak) for a in avals])

    def lower(self) -> Lowered:
        """Lower the jaxpr to loop nests and a plan."""
        if any_tracer(self._entry.closed.consts):
            raise ArgumentError(f"{self._entry.name} captures traced arrays; lower the outermost function instead")
        closed = self._entry.closed
        if self._platform == "cuda":
            return Lowered(self._entry, devices.cuda.lower(closed.jaxpr, closed.consts))
        return Lowered(self._entry, program.lower(closed.jaxpr, closed.consts, self._entry.donated))


class Lowered:
    """A lowered function: what will be compiled.

    >>> import functrans as ft, numpy as np
    >>> lowered = ft.jit(np.sin).lower(1.0)
    >>> "sin" in lowered.as_text()
    True
    """

    def __init__(self, entry: _Entry, lowered: Any):
        self._entry = entry
        self._lowered = lowered

    def as_text(self, stage: str | None = None) -> str:
        """The simplified jaxpr, the loop nests, their kernels and the plan as text; or one `stage` of these."""
        return self._lowered.as_text(stage)

    def cost_analysis(self) -> dict[str, float]:
        """Operations and bytes moved by one call, estimated."""
        return self._lowered.cost_analysis()

    @api_boundary
    def compile(self) -> Compiled:
        """Compile to native code."""
        return Compiled(self._entry, self._lowered.compile())

    def __repr__(self) -> str:
        return self.as_text()


class Compiled:
    """A compiled function for one set of shapes and dtypes.

    >>> import functrans as ft, numpy as np
    >>> compiled = ft.jit(np.sin).lower(1.0).compile()
    >>> compiled(1.0)
    Array(0.84147098)
    """

    def __init__(self, entry: _Entry, compiled: Any):
        self._entry = entry
        self._compiled = compiled

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, tree = flatten((args, kwargs))
        if tree != self._entry.in_tree:
            raise structure_error(
                f"the arguments of the compiled {self._entry.name}", self._entry.in_tree, tree, ("compiled for", "got")
            ) or TreeStructureError(f"the compiled {self._entry.name} was called with another structure of arguments")
        arrays = []
        for x, v in zip(leaves, self._entry.closed.jaxpr.invars):
            aval = check_leaf(x, f"an argument of the compiled {self._entry.name}")
            if aval.shape != v.aval.shape or (aval.dtype != v.aval.dtype and not aval.weak):
                raise ShapeError(f"{self._entry.name} was compiled for {v.aval}, and called with {aval}")
            arrays.append(x if isinstance(x, Tracer) else np.asarray(x, v.aval.dtype))
        outs = self._compiled(*arrays)
        if config.watched:
            check_compiled(self._entry.name, self._entry.closed.jaxpr, self._entry.closed.consts, arrays, outs)
        return unflatten(self._entry.out_tree, outs)

    def as_text(self) -> str:
        """All stages as text, with what is known of the native code."""
        return self._compiled.as_text()

    def cost_analysis(self) -> dict[str, float]:
        """Operations and bytes moved by one call, estimated."""
        return self._compiled.cost_analysis()

    def memory_analysis(self) -> Any:
        """Bytes of arguments, results, constants and temporaries."""
        return self._compiled.memory_analysis()


def clear_caches() -> None:
    """Forget all traces of all functions under `jit`, as their `clear_cache` does: they are traced anew when called.

    Kernels stay: in memory, where programs may still run them, and on disk.

    >>> import functrans as ft
    >>> ft.clear_caches()
    """
    for function in list(_functions):
        function.clear_cache()


def cache_info() -> Any:
    """Counts since start (`traces`, `kernels_compiled`, `kernels_loaded`, `kernels_reused`), and the cache folder.

    >>> import functrans as ft, numpy as np
    >>> ft.cache_info().traces >= 0
    True
    """
    return program.cache_info()
