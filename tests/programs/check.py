"""A random program under every transformation, held to the plain one.

Dtypes and shapes must be equal. What rounding may change of the values is measured: the program also runs at arguments
a few units in the last place away, and the spread of the results, amplified, is allowed beside a hundred units in the
last place of the largest element. Where a derivative is compared, the spread of the derivative is taken. A program that
jumps or is ill conditioned at its arguments so allows what it must, and others nothing that matters.

What runs eagerly is compared for every program. Compiling takes most of the time, so beside `jit` itself a program of a
seed is compiled under one of `COMPOSITIONS`, which the seed draws; `check` alone tries all.
"""

import numpy as np
from generator import Program, generate

import functrans as ft
from functrans.compiler.program import lower
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import evaluate

_MOVES = 3

COMPOSITIONS = (
    "jit(vmap(0, 0))",
    "jit(vmap(0, None))",
    "jit(jvp)",
    "jvp(jit)",
    "jit(grad)",
    "grad(jit)",
    "grad(checkpoint(jit))",
    "jit(grad(checkpoint))",
    "jit(vmap(grad(jit)))",
)


class Mismatch(Exception):
    """Two evaluations of a program that must agree and do not."""


def check(program, compositions=COMPOSITIONS):
    """Raise `Mismatch` where a transformation of the program disagrees with the program."""
    with np.errstate(all="ignore"):
        _values(program)
        _mapped(program, compositions)
        _derivatives(program, compositions)


def _spread(function, arguments):
    """The value of a function and, for each result, how far it moves when the arguments move by some ulp."""
    rng = np.random.default_rng(0)
    value = [np.asarray(v) for v in function(*arguments)]
    spread = [np.zeros(v.shape) for v in value]
    for _ in range(_MOVES):
        moved = [
            (a * (1 + 4 * np.finfo(a.dtype).eps * rng.choice([-1, 1], a.shape))).astype(a.dtype) for a in arguments
        ]
        for s, v, m in zip(spread, value, function(*moved)):
            difference = np.abs(np.asarray(m, np.float64) - np.asarray(v, np.float64))
            np.maximum(s, np.nan_to_num(difference, nan=np.inf), out=s)
    return value, spread


def _same(what, found, expected, spread, least=0.0):
    """`least` is the precision of what a program computes with, where its results are of a higher one."""
    found = [np.asarray(f) for f in found]
    if len(found) != len(expected):
        raise Mismatch(f"{what}: {len(found)} results, expected {len(expected)}")
    for number, (f, e, s) in enumerate(zip(found, expected, spread)):
        if (f.dtype, f.shape) != (e.dtype, e.shape):
            raise Mismatch(f"{what}: result {number} is {f.dtype}{f.shape}, expected {e.dtype}{e.shape}")
        eps = 0.0 if e.dtype.kind != "f" else max(np.finfo(e.dtype).eps, least)
        scale = np.abs(e.astype(np.float64)).max(initial=1.0)
        difference = np.abs(f.astype(np.float64) - e.astype(np.float64))
        wrong = ~((difference <= 200 * eps * scale + 100 * s.max(initial=0.0)) | (f == e) | ((f != f) & (e != e)))
        if wrong.any():
            raise Mismatch(f"{what}: result {number}\nfound\n{f}\nexpected\n{e}\nspread {s.max(initial=0.0)}")


def _precision(program):
    """The coarsest precision that a program computes with, if that is not float64's."""
    single = any(a.dtype == np.float32 for a in program.arguments) or "float32" in program.text
    return float(np.finfo(np.float32).eps) if single else 0.0


def _values(program):
    f, arguments, least = program.function(), program.arguments, _precision(program)
    value, spread = _spread(f, arguments)
    closed = ft.make_jaxpr(f)(*arguments)
    check_jaxpr(closed.jaxpr)
    check_jaxpr(lower(closed.jaxpr, closed.consts).simplified)
    _same("the jaxpr", evaluate(closed.jaxpr, closed.consts, arguments), value, spread, least)
    _same("jit", ft.jit(f)(*arguments), value, spread, least)


def _mapped(program, compositions):
    f, least = program.function(), _precision(program)
    batches = [np.stack([a, np.flip(a)]) for a in program.arguments]
    for axes in ((0, 0), (0, None)):
        rows = [[b[i] if d == 0 else a for b, a, d in zip(batches, program.arguments, axes)] for i in range(2)]
        operands = [b if d == 0 else a for b, a, d in zip(batches, program.arguments, axes)]
        try:
            both = [_spread(f, row) for row in rows]
        except (ValueError, IndexError, np.linalg.LinAlgError):
            continue  # the flipped arguments leave the program's domain
        expected = [np.stack(vs) for vs in zip(*[v for v, _ in both])]
        spread = [np.stack(ss) for ss in zip(*[s for _, s in both])]
        name = f"vmap{axes}"
        _same(name, ft.vmap(f, axes)(*operands), expected, spread, least)
        if f"jit({name})" in compositions:
            _same(f"jit({name})", ft.jit(ft.vmap(f, axes))(*operands), expected, spread, least)


def _derivatives(program, compositions):
    f, arguments, least = program.function(), program.arguments, _precision(program)
    rng = np.random.default_rng(1)
    tangents = [rng.normal(size=a.shape).astype(a.dtype) for a in arguments]

    def pushed(function):
        return lambda *args: ft.jvp(lambda *xs: _floats(function(*xs)), args, tangents)[1]

    def total(*args):
        return sum(v.astype(np.float64).sum() for v in _floats(f(*args))) + 0.0 * args[0].astype(np.float64).sum()

    def gradient(function):
        return ft.grad(function, (0, 1))

    def compare(candidates, value, spread, args=arguments):
        for name, function in candidates.items():
            if name in compositions:
                _same(name, function(*args), value, spread, least)

    value, spread = _spread(pushed(f), arguments)
    compare({"jit(jvp)": ft.jit(pushed(f)), "jvp(jit)": pushed(ft.jit(f))}, value, spread)
    value, spread = _spread(gradient(total), arguments)
    along = sum(float((g.astype(np.float64) * t).sum()) for g, t in zip(value, tangents))
    forward = float(ft.jvp(total, arguments, tangents)[1])
    size = sum(float(np.abs(g.astype(np.float64) * t).sum()) for g, t in zip(value, tangents))
    slack = 100 * sum(float((s * np.abs(t)).sum()) for s, t in zip(spread, tangents))
    if not abs(along - forward) <= (1e-4 if least else 1e-10) * max(size, abs(forward), 1.0) + slack:
        raise Mismatch(f"vjp against jvp: {along} and {forward}")
    compiled = ft.jit(total)
    _same("grad(checkpoint)", gradient(ft.checkpoint(total))(*arguments), value, spread, least)
    candidates = {
        "jit(grad)": ft.jit(gradient(total)),
        "grad(jit)": gradient(compiled),
        "grad(checkpoint(jit))": gradient(ft.checkpoint(compiled)),
        "jit(grad(checkpoint))": ft.jit(gradient(ft.checkpoint(total))),
    }
    compare(candidates, value, spread)
    batches = [np.stack([a, a]) for a in arguments]
    value, spread = [np.stack([v, v]) for v in value], [np.stack([s, s]) for s in spread]
    _same("vmap(grad)", ft.vmap(gradient(total))(*batches), value, spread, least)
    compare({"jit(vmap(grad(jit)))": ft.jit(ft.vmap(gradient(compiled)))}, value, spread, batches)


def _floats(outs):
    return [o for o in outs if o.dtype.kind == "f"]


def minimize(program, compositions=COMPOSITIONS):
    """The program with as few lines as still fail."""
    shrunk = True
    while shrunk:
        shrunk = False
        for number in range(len(program.lines) - 1, -1, -1):
            smaller = program.without(number)
            if smaller is not None and failure(smaller, compositions) is not None:
                program, shrunk = smaller, True
                break
    return program


def failure(program, compositions=COMPOSITIONS):
    """What is wrong with a program, in words; `None` if nothing is."""
    try:
        check(program, compositions)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def check_seed(seed):
    """`None`, or a report on the program of a seed: what failed, its text, and its smallest form."""
    program = generate(seed)
    drawn = [str(np.random.default_rng([seed, 1]).choice(COMPOSITIONS))]
    what = failure(program, drawn)
    if what is None:
        return None
    smallest = minimize(program, drawn)
    return f"seed {seed}: {what}\n\n{program.text}\n\nsmallest: {failure(smallest, drawn)}\n\n{script(smallest)}"


def script(program: Program) -> str:
    """A program as text that runs by itself, beside `generator.py`."""
    arguments = ", ".join(f"np.array({a.tolist()}, np.{a.dtype}).reshape({a.shape})" for a in program.arguments)
    return f"from generator import *\n\n\n{program.text}\n\n\nprint(program({arguments}))\n"
