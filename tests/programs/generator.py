"""Random programs: compositions of functions, loops, branches and transformations, as lines of Python.

A program grows line by line: each is drawn from `TEMPLATES`, filled with values that exist, and run on sample
arguments; lines that fail, overflow or leave the reals are dropped. So every program is a text that can be printed and
run again.
"""

import numpy as np

import functrans as ft
import functrans.numpy as fnp

SHAPES = [(), (3,), (4,), (20,), (2, 3), (3, 3), (20, 3), (2, 3, 4), (0, 3)]

# Functions that keep shape and dtype, of functions (`{f}`) again: loops, branches, rules and transformations nested.
FUNCTIONS = [
    *("fnp.sin", "fnp.tanh", "scaled_sine", "soft_clip", "mapped_cosine", "given_gradient", "damped", "implicit"),
    "lambda x: 0.5 * x + {s}",
    "lambda x: ({f})(({f})(x))",
    "lambda x: ft.lax.cond(fnp.sum(x) > 0, {f}, {f}, x)",
    "lambda x: ft.lax.cond({s} > 0, lambda: ({f})(x), lambda: -x)",
    "lambda x: ft.lax.switch(fnp.sum(x).astype(int) % 2, [{f}, {f}], x)",
    "lambda x: ft.lax.scan(lambda c, _: (({f})(c), fnp.sum(c)), x, None, length=2)[0]",
    "lambda x: ft.lax.while_loop(lambda c: c[1] < 2, lambda c: (({f})(c[0]), c[1] + 1), (x, 0))[0]",
    "lambda x: ft.lax.while_loop(lambda c: (fnp.sum(c[0] ** 2) < 9) & (c[1] < 3), "
    "lambda c: (({f})(c[0]) + 1.0, c[1] + 1), (x, 0))[0]",
    "lambda x: ft.lax.fori_loop(0, 2, lambda i, v: ({f})(v) - i * 0.1, x)",
    "ft.checkpoint({f})",
    "ft.jit({f})",
    "lambda x: ft.grad(lambda v: fnp.sum(({f})(v)))(x)",
    "lambda x: ft.jvp({f}, (x,), (x,))[1]",
]

# a, b: any float values; s: a 0-d one; v: at least one axis; m: a square matrix; i: an integer value; c: a boolean one
TEMPLATES = [
    *(
        f"fnp.{f}({{a}})"
        for f in ("sin", "cos", "tanh", "arctan", "square", "negative", "arcsinh", "expm1", "abs", "sign")
    ),
    "fnp.exp(-fnp.abs({a}))",
    "fnp.log(1.5 + {a} ** 2)",
    "fnp.sqrt(0.5 + {a} ** 2)",
    "1.0 / (1.0 + {a} ** 2)",
    "fnp.floor(3 * {a})",
    "ft.nn.relu({a})",
    "ft.nn.softplus({a})",
    "fnp.cbrt({a} + 3.0)",
    "{a} ** 3",
    "2 * {a} - 1",
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "{a} / (2.0 + {b} ** 2)",
    "fnp.maximum({a}, {b})",
    "fnp.minimum({a}, 0.3)",
    "fnp.arctan2({a}, 1.5 + {b} ** 2)",
    "fnp.hypot({a}, {b} + 2.0)",
    "fnp.logaddexp({a}, {b})",
    "fnp.where({c}, {a}, {b})",
    "{a} > {b}",
    "{a} <= 0.1",
    "~{c}",
    "{c} & ({a} > 0)",
    "fnp.clip({a}, -0.5, 0.5)",
    "{a}.astype(np.float32)",
    "(10 * {a}).astype(np.int64)",
    "{i} % 3 + {i} // 2",
    "{i} * 1.5",
    "{i} & 6",
    "{a} + {i}",
    "fnp.isfinite({a})",
    "fnp.sum({a})",
    "fnp.sum({v}, axis=0)",
    "fnp.mean({v}, axis=-1, keepdims=True)",
    "fnp.max({a})",
    "fnp.min({v}, axis=-1)",
    "fnp.prod(0.5 + 0.1 * fnp.tanh({v}), axis=0)",
    "fnp.var({a})",
    "fnp.cumsum({v}, axis=0)",
    "fnp.cumsum({v}, axis=-1)",
    "fnp.argmax({v}, axis=0)",
    "fnp.any({c})",
    "fnp.sum({c})",
    "ft.scipy.special.logsumexp({v}, axis=-1)",
    "ft.nn.softmax({v}, axis=-1)",
    "fnp.sort({v}, axis=-1)",
    "fnp.argsort({v}, axis=0, stable=True)",
    "fnp.diff({v}, axis=-1)",
    "{v}.T",
    "fnp.ravel({a})",
    "{a}[None]",
    "{v}[::-1]",
    "{v}[..., 1:]",
    "{v}[:2]",
    "{v}[0]",
    "{v}[..., -1]",
    "fnp.expand_dims({a}, -1)",
    "fnp.concatenate([{v}, 2 * {v}], axis=0)",
    "fnp.stack([{a}, {a} + 1.0], axis=-1)",
    "fnp.pad({v}, 1)",
    "fnp.roll({v}, 1, axis=0)",
    "fnp.broadcast_to({s}, (3, 2))",
    "fnp.tile({v}, 2)",
    "{v}[fnp.asarray([0, -1, 0])]",
    "fnp.take({v}, fnp.abs({i}) % 2, axis=0)",
    "fnp.asarray({v}).at[0].set(0.5)",
    "fnp.asarray({v}).at[..., :1].add(1.0)",
    "fnp.asarray({v}).at[fnp.asarray([0, 0, -1])].add(0.25)",
    "fnp.asarray({v}).at[fnp.abs({i}) % 2].multiply(0.5)",
    "fnp.tril({m})",
    "{m} @ {m}",
    "{m} @ {v}",
    "fnp.einsum('...i,...i->...', {v}, {v})",
    "fnp.outer({v}, {v})[:4, :4]",
    "fnp.linalg.solve({m} + 5.0 * fnp.eye(3), {m})",
    "fnp.linalg.norm({a})",
    "fnp.trace({m})",
    "fnp.dot({v}, {v}.T)",
    "ft.lax.cond({s} > 0, lambda x: fnp.sin(x), lambda x: 0.5 * x, {a})",
    "ft.lax.switch({i}.ravel()[0] % 3 if {i}.size else 0, [lambda x: x, lambda x: -x, lambda x: x * x], {a})",
    "ft.lax.scan(lambda c, x: (0.5 * c + fnp.tanh(x), fnp.sum(c) + x), {v}[0], {v})[0]",
    "ft.lax.scan(lambda c, x: (fnp.cos(c) + x, c), 0.5 * {v}[-1], {v}, reverse=True)[1]",
    "ft.lax.scan(lambda c, _: (fnp.sin(c) * {s}, c), {a}, None, length=3)[0]",
    "ft.lax.fori_loop(0, 3, lambda k, x: 0.7 * fnp.sin(x) + k, {a})",
    "ft.lax.while_loop(lambda c: c[1] < 4, lambda c: (fnp.sin(c[0]) + 0.1, c[1] + 1), ({a}, 0))[0]",
    "ft.lax.map(lambda x: fnp.sin(x) + fnp.sum(x), {v})",
    "ft.jit(lambda x: fnp.sin(x) * x)({a})",
    "ft.checkpoint(lambda x: fnp.tanh(x) * x)({a})",
    "ft.vmap(lambda x: x * fnp.sum(x))({v})",
    "ft.grad(lambda x: fnp.sum(fnp.sin(x) ** 2))({a})",
    "ft.jvp(fnp.tanh, ({a},), ({a},))[1]",
    *["({f})({a})", "ft.vmap({f})({v})"] * 4,
    *["ft.vmap(ft.grad(lambda x: fnp.sum(({f})(x))))({v})", "ft.lax.map({f}, {v})"] * 2,
    "ft.lax.scan(lambda c, x: (({f})(c) + x, c), 0.5 * {v}[0], {v})[1]",
    "ft.lax.associative_scan(fnp.maximum, {v})",
    "ft.lax.cummax({v}, 0)",
    "ft.vmap(lambda x: x - ft.lax.pmean(x, 'n'), axis_name='n')({v})",
]


@ft.custom_jvp
def scaled_sine(x):
    """A function with a forward rule of its own."""
    return 2.0 * fnp.sin(x)


scaled_sine.defjvp(lambda primals, tangents: (scaled_sine(primals[0]), 2.0 * tangents[0] * fnp.cos(primals[0])))


@ft.custom_vjp
def soft_clip(x):
    """A function with a reverse rule of its own."""
    return fnp.tanh(x)


soft_clip.defvjp(lambda x: (soft_clip(x), x), lambda x, ct: (ct * (1 - fnp.tanh(x) ** 2),))


@ft.custom_batching.custom_vmap
def mapped_cosine(x):
    """A function with a batching rule of its own."""
    return fnp.cos(x)


mapped_cosine.def_vmap(lambda size, batched, x: (fnp.cos(x), batched[0]))


@ft.custom_gradient
def given_gradient(x):
    """A function that returns its reverse rule."""
    return fnp.sin(x), lambda ct: ct * fnp.cos(x)


def damped(x):
    """The solution of a linear system that depends on the right-hand side, by an iteration."""
    scale = 2.0 + fnp.tanh(x) ** 2
    shared = lambda y: 0.5 * fnp.sum(y) / (1 + y.size)
    solve = lambda _, b: ft.lax.fori_loop(0, 40, lambda i, y: (b - shared(y)) / scale, b / scale)
    return ft.lax.custom_linear_solve(lambda y: scale * y + shared(y), x, solve, symmetric=True)


def implicit(x):
    """The root `y` of `y + tanh(y) / 2 = x`, by Newton's method."""
    f = lambda y: y + 0.5 * fnp.tanh(y) - x
    newton = lambda f, y: ft.lax.fori_loop(0, 12, lambda i, y: y - f(y) / (1.5 - 0.5 * fnp.tanh(y) ** 2), y)
    return ft.lax.custom_root(f, 0.5 * x, newton, lambda g, y: y / g(fnp.ones_like(y)))


NAMES = {
    "np": np, "ft": ft, "fnp": fnp, "scaled_sine": scaled_sine, "soft_clip": soft_clip, "mapped_cosine": mapped_cosine,
    "given_gradient": given_gradient, "damped": damped, "implicit": implicit,
}  # fmt: skip


class Program:
    """Lines that define values, and the names of those that are returned."""

    def __init__(self, arguments, lines, results):
        self.arguments = arguments
        self.lines = lines
        self.results = results

    @property
    def text(self):
        """The program as a function of its arguments."""
        head = f"def program({', '.join(f'x{i}' for i in range(len(self.arguments)))}):"
        return "\n".join([head, *(f"    {line}" for line in self.lines), f"    return ({', '.join(self.results)},)"])

    def function(self):
        names = dict(NAMES)
        exec(self.text, names)
        return names["program"]

    def without(self, number):
        """The program less one line, or `None` where something needs it."""
        name = self.lines[number].split(" = ")[0]
        rest = self.lines[:number] + self.lines[number + 1 :]
        results = [r for r in self.results if r != name]
        if not results or any(name in line.split(" = ", 1)[1].replace("(", " ").replace(")", " ") for line in rest):
            return None
        return Program(self.arguments, rest, results)


def generate(seed, size=None):
    """A random program and its arguments."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 9)) if size is None else size
    arguments = [_sample(rng, SHAPES[rng.integers(len(SHAPES))]) for _ in range(2)]
    values = {f"x{i}": a for i, a in enumerate(arguments)}
    lines = []
    for _ in range(12 * size):
        if len(lines) == size:
            break
        line = _line(rng, values, f"v{len(lines)}")
        if line is not None:
            lines.append(line)
    names = [line.split(" = ")[0] for line in lines]
    results = sorted({names[-1], *(n for n in names if rng.random() < 0.3)}) if names else ["x0"]
    return Program(arguments, lines, results)


def _sample(rng, shape):
    return np.round(rng.normal(size=shape), 3).astype(rng.choice([np.float64, np.float64, np.float32]))


def _line(rng, values, name):
    """A new value as a line, if one can be made; it is added to the values."""
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    filled = template
    while "{f}" in filled:
        depth = filled.count("lambda") + filled.count("ft.")
        choice = rng.integers(9) if depth > 6 else rng.integers(len(FUNCTIONS))
        filled = filled.replace("{f}", FUNCTIONS[choice], 1)
    for kind in "absvmic":
        while f"{{{kind}}}" in filled:
            fitting = [n for n, v in values.items() if _fits(kind, np.asarray(v))]
            if not fitting:
                return None
            # late values more often: programs become deep
            pick = fitting[-1 - min(int(rng.exponential(1.5)), len(fitting) - 1)]
            filled = filled.replace(f"{{{kind}}}", pick, 1)
    try:
        with np.errstate(all="raise"):
            value = np.asarray(eval(filled, {**NAMES, **values}))
    except (ValueError, TypeError, IndexError, FloatingPointError, np.linalg.LinAlgError):
        return None
    if value.dtype.kind not in "bif" or value.size > 2000:
        return None
    if value.size and value.dtype.kind == "f" and not (np.isfinite(value).all() and np.abs(value).max() < 1e4):
        return None
    if value.size and value.dtype.kind == "i" and np.abs(value).max() > 1e6:
        return None
    values[name] = value
    return f"{name} = {filled}"


def _fits(kind, value):
    if kind == "i":
        return value.dtype.kind == "i"
    if kind == "c":
        return value.dtype.kind == "b"
    if value.dtype.kind != "f":
        return False
    return {"s": value.ndim == 0, "v": value.ndim >= 1, "m": value.shape == (3, 3)}.get(kind, True)
