"""Calls of elementwise functions: the number of operands is checked, so that none of them is written into."""

import numpy as np
import pytest
from helpers import abstract

from functrans import errors, lax


@pytest.mark.parametrize(("fun", "n"), [(lax.add, 3), (lax.sin, 2), (lax.max, 1)], ids=["add", "sin", "max"])
def test_the_number_of_operands(fun, n):
    xs = [np.full(2, float(i)) for i in range(n)]
    with pytest.raises(errors.DTypeError, match=rf"{fun.name} takes \d operands?, got {n}"):
        fun(*xs)
    with pytest.raises(errors.DTypeError, match=rf"{fun.name} takes \d operands?, got {n}"):
        abstract(fun, *[((2,), np.float64)] * n)
    assert [x.tolist() for x in xs] == [[float(i)] * 2 for i in range(n)]
