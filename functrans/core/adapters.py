"""What other libraries must be told of tracers before they take them, done when both are there.

`adapters` maps the name of a module to a function that is called once, when a trace starts and the module has been
imported. So nothing is imported on our account, and users have nothing to set up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

#: By the name of the module that wants it; entries go as they are done.
adapters: dict[str, Callable[[], None]] = {}


def adapt() -> None:
    """Do what is due."""
    for name in list(adapters):
        if name in sys.modules:
            adapters.pop(name)()
