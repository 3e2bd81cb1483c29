"""SciPy's special functions in kernels: calls of the C functions that `scipy.special.cython_special` exports.

`scipy_i0`, `scipy_gammainc` and so on take numbers of any dtype, compute in float64 and give the dtype of the last
operand. So results are SciPy's own, correctly rounded from float64 where SciPy has float32. Kernels name the functions
by symbols, which are known to LLVM once this module is imported: kernels from disk find them where SciPy has them now.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from scipy.special import cython_special

#: Functions by their number of operands.
_FUNCTIONS = {
    1: (
        "cosm1", "dawsn", "ellipe", "ellipk", "ellipkm1", "erfcinv", "erfcx", "erfi", "exp1", "expi", "exprel",
        "gamma", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e",
        "log_ndtr", "loggamma", "ndtri", "ndtri_exp", "psi", "rgamma", "spence", "y0", "y1", "zetac",
    ),
    2: (
        "beta", "betaln", "binom", "boxcox", "boxcox1p", "eval_chebyt", "eval_chebyu", "eval_hermite",
        "eval_hermitenorm", "eval_laguerre", "eval_legendre", "expn", "gammainc", "gammaincc", "gammainccinv",
        "gammaincinv", "huber", "inv_boxcox", "inv_boxcox1p", "iv", "ive", "jv", "kl_div", "kv",
        "kve", "owens_t", "poch", "pseudo_huber", "stdtr", "stdtrit", "yv",
    ),
    3: (
        "betainc", "betaincc", "betainccinv", "betaincinv", "eval_gegenbauer", "eval_genlaguerre", "hyp1f1",
        "voigt_profile",
    ),
    4: ("eval_jacobi", "hyp2f1"),
}  # fmt: skip

#: Those whose first operand is a whole number, of 64 bits. (With a float there, `expn` warns of what it cuts off.)
_WHOLE = (
    "eval_chebyt", "eval_chebyu", "eval_gegenbauer", "eval_genlaguerre", "eval_hermite", "eval_hermitenorm",
    "eval_jacobi", "eval_laguerre", "eval_legendre", "expn",
)  # fmt: skip


def _address(name: str, arity: int) -> int:
    """The address of a function of float64 operands; 0 where this SciPy has none."""
    first = "Py_ssize_t" if name in _WHOLE else "double"
    signature = f"double ({first}, {'double, ' * (arity - 1)}int __pyx_skip_dispatch)".encode()
    get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    for prefix in ("", *(f"__pyx_fuse_{kind}" for kind in ("0", "1", "2", "0_1", "1_1", "2_1"))):
        capsule = cython_special.__pyx_capi__.get(prefix + name)
        if capsule is not None and get_name(capsule) == signature:
            return int(get_pointer(capsule, signature))
    return 0


def _call(name: str, arity: int) -> Any:
    """An intrinsic that calls the function; LLVM is told that it does nothing else."""
    f64 = ir.DoubleType()
    operands = [types.int64 if name in _WHOLE else types.float64, *[types.float64] * (arity - 1)]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        args = [context.cast(builder, a, t, to) for a, t, to in zip(args, signature.args, operands)]
        kind = ir.FunctionType(f64, [*map(context.get_value_type, operands), ir.IntType(32)])
        module, symbol = builder.module, _symbol(name)
        function = module.globals.get(symbol)
        if function is None:
            function = ir.Function(module, kind, symbol)
            for attribute in ("nounwind", "readnone"):
                function.attributes.add(attribute)
        result = builder.call(function, [*args, ir.IntType(32)(0)])
        return context.cast(builder, result, types.float64, signature.return_type)

    def one(typingctx: Any, x: Any) -> Any:
        return _result(x)(x), codegen

    def two(typingctx: Any, x: Any, y: Any) -> Any:
        return _result(y)(x, y), codegen

    def three(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
        return _result(z)(x, y, z), codegen

    def four(typingctx: Any, x: Any, y: Any, z: Any, w: Any) -> Any:
        return _result(w)(x, y, z, w), codegen

    typed = (one, two, three, four)[arity - 1]
    typed.__name__ = typed.__qualname__ = f"scipy_{name}"
    return intrinsic(typed)


def _result(x: Any) -> Any:
    return x if isinstance(x, types.Float) else types.float64


def _symbol(name: str) -> str:
    return f"functrans_scipy_{name}"


for _arity, _names in _FUNCTIONS.items():
    for _name in _names:
        if _where := _address(_name, _arity):
            llvm.add_symbol(_symbol(_name), _where)
            globals()[f"scipy_{_name}"] = _call(_name, _arity)
