"""Keywords of JAX that lay arrays out over several devices. A program runs on one device here, so they are refused."""

from __future__ import annotations

from typing import Any

from functrans.errors import ArgumentError


def refuse_placement(name: str, **given: Any) -> None:
    """The error for such keywords where they have a value; `None`, their default, asks for nothing."""
    for keyword, value in given.items():
        if value is not None:
            raise ArgumentError(
                f"{name} does not take {keyword}={value!r:.40}: a program runs on one device, so there is nothing to "
                "lay out; leave it away (vmap computes with many examples at once)"
            )


__all__ = ["refuse_placement"]
