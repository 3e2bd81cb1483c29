"""The names of `jax.experimental.checkify`; they are those of `functrans.checking`."""

from functrans.checking import (
    Error,
    all_checks,
    automatic_checks,
    check,
    check_error,
    checkify,
    debug_check,
    div_checks,
    float_checks,
    index_checks,
    init_error,
    nan_checks,
    user_checks,
)

__all__ = [
    "Error", "all_checks", "automatic_checks", "check", "check_error", "checkify", "debug_check", "div_checks",
    "float_checks", "index_checks", "init_error", "nan_checks", "user_checks",
]  # fmt: skip
