"""The names of `jax.experimental.checkify`; they are those of `functrans.checking`."""

from functrans.checking import (
    Error,
    all_checks,
    automatic_checks,
    check,
    check_error,
    checkify,
    div_checks,
    float_checks,
    index_checks,
    nan_checks,
    user_checks,
)

__all__ = [
    "Error", "all_checks", "automatic_checks", "check", "check_error", "checkify", "div_checks", "float_checks",
    "index_checks", "nan_checks", "user_checks",
]  # fmt: skip
