"""Scalar templates: the text of an expression, resolved for the dtypes of its operands.

The language is described in `nodes.py`. A template is parsed once for each compute dtype: numbers become constants of
that dtype, function names those of the implementation for it, so that Numba never widens a float32 or an int32.
"""

from __future__ import annotations

import ast
import math
import re
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from functrans.core.avals import SMALL_FLOATS

INTRINSICS = "functrans.compiler.intrinsics"
MATHEMATICS = "functrans.compiler.mathematics"
SCALARS = "functrans.compiler.scalars"
#: By the prefix of a function's name; these import SciPy.
_SPECIAL = {"scipy": "functrans.compiler.scipyfunctions", "special": "functrans.compiler.special"}

#: Cost of a call in units of one addition; names that are not here cost `CALL`.
CALL = 12
_COSTS = {
    "maximum": 1, "minimum": 1, "fmax": 1, "fmin": 1, "absolute": 1, "abs": 1, "max": 1, "min": 1, "where": 1,
    "select": 1, "floor": 1, "ceil": 1, "trunc": 1, "rint": 1, "sign": 2, "copysign": 1, "isnan": 1, "isinf": 1,
    "isfinite": 1, "signbit": 1, "sqrt": 5, "square": 1, "reciprocal": 4, "left_shift": 2, "right_shift": 2,
    "logical_and": 1, "logical_or": 1, "logical_xor": 1, "logical_not": 1, "less": 1, "less_equal": 1, "complex": 1,
    "real": 1, "divide": 4, "divide_by": 3, "threefry2x32": 110,
}  # fmt: skip
_OPERATORS = {
    ast.Add: 1, ast.Sub: 1, ast.Mult: 1, ast.Div: 4, ast.Pow: CALL, ast.BitAnd: 1, ast.BitOr: 1, ast.BitXor: 1,
    ast.LShift: 1, ast.RShift: 1,
}  # fmt: skip


class Resolved(NamedTuple):
    """A template for given dtypes: text with operands `{0}`, `{1}`, ..., the names it imports, its cost."""

    text: str
    imports: frozenset[tuple[str, str]]
    cost: int


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are held: float16 and bfloat16 are computed in float32."""
    return np.dtype(np.float32) if dtype in SMALL_FLOATS else dtype


def small_float(dtype: np.dtype) -> tuple[str, str] | None:
    """For floats that are computed in float32: what takes their bits to a float32, and what gives their bits."""
    if dtype == np.float16:
        return "half_to_float", "float_to_half"
    return ("brain_to_float", "float_to_brain") if dtype in SMALL_FLOATS else None


def rounded(text: str, dtype: np.dtype) -> tuple[str, frozenset[tuple[str, str]]]:
    """A float32 rounded to a small float, as text and with what it imports; any other value as it is."""
    functions = small_float(dtype)
    if functions is None:
        return text, frozenset()
    read, write = functions
    return f"{read}({write}({text}))", frozenset({(INTRINSICS, read), (INTRINSICS, write)})


def suffix(dtype: np.dtype) -> str:
    """The suffix of implementations for a dtype: `f64`, `f32`, `c128`, `i32`, `bool`."""
    dtype = compute_dtype(dtype)
    return "bool" if dtype.kind == "b" else f"{dtype.kind}{dtype.itemsize * 8}"


def constant_text(value: Any, dtype: np.dtype) -> str:
    """A constant as text, exact and of that dtype in Numba's eyes (`inf`, `nan` and the dtypes are global names)."""
    dtype = compute_dtype(dtype)
    value = np.asarray(value).astype(dtype)[()]
    if dtype.kind == "b":
        return str(bool(value))
    if dtype.kind in "iu":
        return str(int(value)) if dtype == np.int64 else f"{dtype}({int(value)})"
    if dtype.kind == "c":
        return f"{dtype}(complex({_float(float(value.real))}, {_float(float(value.imag))}))"
    return _float(float(value)) if dtype == np.float64 else f"{dtype}({_float(float(value))})"


def _float(value: float) -> str:
    return repr(value)  # `inf` and `nan` are names


@cache
def resolve(template: str, compute: np.dtype, result: np.dtype) -> Resolved:
    """The text of a template whose operand 0 has dtype `compute`, with a value of dtype `result`."""
    if not template or (compute in SMALL_FLOATS and template.startswith(("nextafter", "spacing"))):
        raise NotImplementedError(f"no scalar form of {template} for {compute}")
    tree = ast.parse(re.sub(r"\{(\d+)\}", r"_\1", template).strip(), mode="eval")
    rewriter = _Rewriter(compute_dtype(compute))
    body = rewriter.visit(tree.body)
    text = ast.unparse(ast.fix_missing_locations(body))
    if _needs_cast(body, compute, result):
        name = "bool_" if result.kind == "b" else str(compute_dtype(result))
        text = f"{name}({text})"
    text = re.sub(r"\b_(\d+)\b", r"{\1}", text)
    text, imports = rounded(text, result)
    rewriter.imports |= imports
    return Resolved(text, frozenset(rewriter.imports), rewriter.cost)


def _needs_cast(body: ast.expr, compute: np.dtype, result: np.dtype) -> bool:
    """Whether Numba's type of the expression may differ from the result's dtype."""
    if isinstance(body, ast.Name):
        return False
    if result.kind == "b":
        logic = isinstance(body, (ast.Compare, ast.Call)) or compute.kind == "b"
        return not (logic or (isinstance(body, ast.UnaryOp) and isinstance(body.op, ast.Not)))
    if isinstance(body, ast.Call) and isinstance(body.func, ast.Name):
        return body.func.id.startswith(("math_", "cmath_", "complex", "abs", "bitwise_count"))
    return result.kind in "iu" and result != np.int64


class _Rewriter(ast.NodeTransformer):
    """Types the numbers of a template and resolves its functions."""

    def __init__(self, compute: np.dtype):
        self.compute = compute
        self.imports: set[tuple[str, str]] = set()
        self.cost = 0

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.parse(constant_text(node.value, self.compute), mode="eval").body

    def visit_Name(self, node: ast.Name) -> ast.expr:
        values = {"inf": math.inf, "nan": math.nan, "pi": math.pi, "e": math.e}
        if node.id in values:
            return self.visit_Constant(ast.Constant(values[node.id]))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            raise ValueError("templates have no `//` and `%`: write floor_divide(a, b) and remainder(a, b)")
        if isinstance(node.op, (ast.LShift, ast.RShift)):
            name = "left_shift" if isinstance(node.op, ast.LShift) else "right_shift"
            return self.visit_Call(ast.Call(ast.Name(name), [node.left, node.right], []))
        if isinstance(node.op, ast.Pow):
            return self.visit_Call(ast.Call(ast.Name("pow"), [node.left, node.right], []))
        if isinstance(node.op, ast.Div):  # Numba's own raises an error for a zero divisor
            return self.visit_Call(ast.Call(ast.Name("divide"), [node.left, node.right], []))
        self.cost += _OPERATORS[type(node.op)] * (3 if self.compute.kind == "c" else 1)
        return cast(ast.expr, self.generic_visit(node))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return self.visit_Constant(ast.Constant(-node.operand.value))  # type: ignore[operator]
        self.cost += 1
        return cast(ast.expr, self.generic_visit(node))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.cost += 1
        return cast(ast.expr, self.generic_visit(node))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return self.visit_Call(ast.Call(ast.Name("where"), [node.test, node.body, node.orelse], []))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        raise ValueError("templates have no `and` and `or`: write `&` and `|`")

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute):  # {0}.conjugate()
            self.cost += 1
            return ast.Call(ast.Attribute(self.visit(node.func.value), node.func.attr), [], [])
        assert isinstance(node.func, ast.Name)
        name = _ALIASES.get(node.func.id, node.func.id)
        if name in _BUILTINS and (name == "complex" or self.compute.kind == "c"):
            self.cost += 1
            call = ast.Call(ast.Name("abs" if name == "absolute" else name), [self.visit(a) for a in node.args], [])
            return ast.Call(ast.Attribute(call.args[0], "conjugate"), [], []) if name == "conj" else call
        macro = _MACROS.get((name, self.compute.kind))
        if macro is not None and not (MATHEMATICS, f"{name}_{suffix(self.compute)}") == _find(name, self.compute):
            return self.visit(_expanded(macro, node.args))
        if name == "real":  # a number of the real part's dtype
            real = np.dtype(f"f{self.compute.itemsize // 2}") if self.compute.kind == "c" else self.compute
            return _Rewriter(real).visit(node.args[0])
        args = [self.visit(a) for a in node.args]
        self.cost += _COSTS.get(name, CALL) * (2 if self.compute.kind == "c" else 1)
        module, function = implementation(name, self.compute)
        self.imports.add((module, function))
        local = f"{module}_{function}" if module in ("math", "cmath") else function
        return ast.Call(ast.Name(local), args, [])


def implementation(name: str, compute: np.dtype) -> tuple[str, str]:
    """The module and the name of the function that computes `name` on values of a dtype."""
    found = _find(name, compute)
    if found is None:
        raise NotImplementedError(f"no scalar implementation of {name} for {compute}")
    return found


@cache
def _find(name: str, compute: np.dtype) -> tuple[str, str] | None:
    module = _SPECIAL.get(name.partition("_")[0])
    if module:
        return (module, name) if name in _names(module) else None
    typed = f"{name}_{suffix(compute)}"
    if typed in _names(MATHEMATICS):
        return MATHEMATICS, typed
    for candidate in (typed, name):
        if candidate in _names(SCALARS) and not (candidate == "sqrt" or candidate.startswith("_")):
            return SCALARS, candidate
    plain = _PYTHON_NAMES.get(name, name)
    if compute.kind == "c" and plain in _CMATH:
        return "cmath", plain
    return ("math", plain) if compute.kind == "f" and plain in _MATH else None


#: What Numba compiles of `math` on floats and of `cmath`.
_MATH = frozenset(
    "acos acosh asin asinh atan atan2 atanh cos cosh erf erfc exp expm1 gamma hypot ldexp lgamma log log10 log1p log2 "
    "nextafter pow sin sinh tan tanh".split()
)
_CMATH = frozenset("acos acosh asin asinh atan atanh cos cosh exp log log10 sin sinh sqrt tan tanh".split())
_PYTHON_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
                 "arccosh": "acosh", "arctanh": "atanh", "power": "pow"}  # fmt: skip
_ALIASES = {"abs": "absolute", "fabs": "absolute", "max": "maximum", "min": "minimum", "popcount": "bitwise_count",
            "mod": "remainder", "conjugate": "conj", "power": "pow"}  # fmt: skip
_BUILTINS = {"complex", "conj", "absolute"}

#: Functions written in terms of others, for the kinds of dtypes where nothing better exists.
_MACROS = {
    ("reciprocal", "f"): "1 / {0}",
    ("reciprocal", "c"): "1 / {0}",
    ("conj", "f"): "{0}",
    ("heaviside", "f"): "where({0} < 0, 0, where({0} == 0, {1}, where({0} > 0, 1, {0})))",
    ("logistic", "f"): "1 / (1 + exp(-{0}))",
    ("logaddexp", "f"): "where({0} == {1}, {0} + 0.6931471805599453, maximum({0}, {1}) + log1p(exp(-abs({0} - {1}))))",
    ("logaddexp2", "f"): (
        "where({0} == {1}, {0} + 1, maximum({0}, {1}) + log1p(exp2(-abs({0} - {1}))) * 1.4426950408889634)"
    ),
    ("exp2", "f"): "pow(2, {0})",
}


def _expanded(macro: str, args: list[ast.expr]) -> ast.expr:
    """A macro's expression with operands in place."""
    import copy

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            number = node.id.removeprefix("_arg")
            return copy.deepcopy(args[int(number)]) if number.isdigit() and node.id.startswith("_arg") else node

    return Fill().visit(ast.parse(re.sub(r"\{(\d+)\}", r"_arg\1", macro), mode="eval").body)


@cache
def _names(module: str) -> frozenset[str]:
    import importlib

    try:
        return frozenset(vars(importlib.import_module(module)))
    except ModuleNotFoundError:
        return frozenset()
