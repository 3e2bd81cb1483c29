"""Nodes: the scalar expressions that loop nests compute, and the builder `k` with which `lower` rules write them.

A rule `lower(k, idx, *operands, **params) -> Node` gives the node of the element at `idx`, a tuple of index nodes, one
for each axis of the result. `operands[j].aval` is the aval of an operand and `operands[j].at(*idx)` the node of one of
its elements. Nodes are hash-consed, so equal expressions are one node; each knows the loop variables on which it
depends, and is computed at the outermost loop where they are known.

The builder
-----------
`k.op(template, *nodes, dtype=None)`
    A scalar expression of result dtype `dtype` (default: that of the first node).
`k.const(value, dtype)`
    A constant, exact in every dtype (nan, inf, -0.0, the largest uint64 and complex values too).
`k.convert(node, dtype)`
    The conversion that `ndarray.astype` makes: truncation to integers, wraparound between integers, the real part of a
    complex value, `!= 0` for bool.
`k.bitcast(node, dtype)`
    The same bits as another dtype of the same width.
`k.where(c, a, b)`
    `a` where the bool node `c` holds, else `b`; both are evaluated. Also for index nodes.
`k.guard(c, thunk, other)`
    `thunk()` where `c` holds, else `other` (a node, or again a thunk). Reads inside a thunk happen only where its
    condition says so: use it wherever an index may lie outside its axis (pad, concatenate).
`k.size(n)`
    The integer `n` as an index node: literal up to UNROLL_LIMIT = 16, a run-time argument beyond. Python integers that
    meet an index node in arithmetic become sizes by themselves: write `idx[0] + start`, `idx[0] < n`.
`k.checked(i, n, what)`
    The index `i`, which has to lie in [0, n): otherwise `what` is reported (IndexError) and `i` is clamped.
`k.ravel(idx, shape)`, `k.unravel(flat, shape)`
    The flat row-major position of an index, and the index of a flat position. Use these (as reshape does) rather than
    own `//` and `%`: they cancel exactly.
`k.clip(i, lo, hi)`
    An index clamped to [lo, hi].

Index nodes are int64 nodes and carry `+ - * // % < <= > >= == != & | ~` (`==` and `!=` are `.eq(x)` and `.ne(x)`:
Python needs `==` for dictionaries). `//` and `%` are Python's; their divisor is positive. An integer node of data is
an index after `k.convert(node, np.dtype("int64"))`. An index node is data (int64) wherever a node is expected.

Templates
---------
The text of one Python expression, with `{0}`, `{1}`, ... for the operands. It is parsed, not pasted, so operands need
no parentheses. Its *compute dtype* is the dtype of operand 0 (or `compute=`).

- Operators: `+ - * / ** < <= > >= == != & | ^ << >> not`, unary `-` and `~`, attributes `.real` and `.imag`,
  `a if c else b` (a select of values, both are evaluated). No `and`, `or`, `//`, `%`: write `&`, `|`,
  `floor_divide(a, b)`, `remainder(a, b)`.
- Numbers take the compute dtype: `0.5 * {0}` is float32 on float32, `{0} + 1` is uint64 on uint64. Names `inf`, `nan`,
  `pi` are such numbers too. Inside `.real`/`.imag` arithmetic on complex operands numbers are of the real part's dtype:
  name it by `real(0.5)`.
- Integers wrap around in their own dtype; `/` is for floats and complex values only (convert first).
- bool operands: `& | ^ not == !=`; arithmetic on bool has to be written as logic.
- Calls `f(a, ...)` are resolved by the compute dtype, in this order: `f_f64`, `f_f32` (float16 computes in float32),
  `f_c128`, `f_c64`, `f_i64`, ... of `functrans.compiler.mathematics`; then the functions of
  `functrans.compiler.scalars`; then `math.f` or, on complex values, `cmath.f`, as Numba knows them.
  `scalars` has, for every dtype for which NumPy has them, with NumPy's results (zero divisors, NaN, signed zeros):
  `max min fmax fmin abs sign floor ceil trunc rint copysign nextafter floor_divide remainder fmod left_shift
  right_shift isnan isinf isfinite signbit sqrt square conj angle complex(re, im) select(c, a, b) fma pow heaviside
  logaddexp logaddexp2 hypot atan2 gcd popcount clz ldexp`.
- float16 operands arrive as float32, and the result is rounded to float16.
"""
