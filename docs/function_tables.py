"""The tables of docs/api/functions.md, made while Sphinx reads that page.

Rows come from the namespaces themselves, marks from `measure` of tests/calls, which tries each transformation of each
function. Names of NumPy and SciPy are read from the installed modules, those of JAX and of the array API standard from
names.json.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from absent import ABSENT, PRIMITIVES

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from calls import NAMESPACES, Namespace  # noqa: E402
from calls.distributions import DISTRIBUTIONS, METHODS  # noqa: E402
from calls.measure import FLAT, NO, NONE, YES, Marks, measure  # noqa: E402

READ = json.loads((DOCS / "names.json").read_text(encoding="utf-8"))
NAMES: dict[str, list[str]] = {m: n for library in READ.values() for m, n in library["modules"].items()}
VERSIONS = {"NumPy": np.__version__, "SciPy": scipy.__version__, "JAX": READ["jax"]["version"],
            "standard": READ["standard"]["version"]}  # fmt: skip
SIGNS = {YES: "✓", NO: "✗", FLAT: "–", NONE: ""}
PAGES = {n.stem for n in (DOCS / "api").glob("*.md")}


def names_of(module: str) -> list[str]:
    """The public names of another library's module."""
    if module in NAMES:
        return NAMES[module]
    found = importlib.import_module(module)
    listed = dir(found) if module == "numpy" else found.__all__
    return sorted(n for n in listed if not n.startswith("_") and not isinstance(getattr(found, n), types.ModuleType))


def is_here(namespace: Namespace, name: str) -> bool:
    value: Any = namespace.module
    for part in name.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


def absent(namespace: Namespace, library: str) -> dict[str, list[str]]:
    """The names of a library's module that are not here, by the reason why."""
    module = namespace.others[library]
    reasons = {n: reason for reason, names in ABSENT.get(module, {}).items() for n in names.split()}
    found: dict[str, list[str]] = {}
    for name in names_of(module):
        if not is_here(namespace, name):
            reason = PRIMITIVES if module.startswith("jax") and name.endswith("_p") else reasons.get(name, "")
            found.setdefault(reason, []).append(name)
    return found


def marks_of(namespace: Namespace) -> dict[str, Marks | None]:
    """What can be made of each function; None where no call of it is known."""
    calls = {name: namespace.call(name) for name in namespace.functions()}
    return {name: call and measure(call) for name, call in calls.items()}


def _row(name: str, elsewhere: str, marks: Marks | None) -> str:
    if marks is None:
        return f"| `{name}` | {elsewhere} | no sample | | | | |"
    native = SIGNS[NO] if marks.jit == NO else ", ".join(f"`{n}`" for n in marks.native) or SIGNS[YES]
    signs = (SIGNS[m] for m in (marks.forward, marks.reverse, marks.vmap, marks.jit))
    return f"| {name} | {elsewhere} | {' | '.join(signs)} | {native} |"


def table(namespace: Namespace) -> Iterator[str]:
    """The lines of a namespace's section."""
    short = namespace.name.removeprefix("functrans.")
    page = short.replace(".", "_")
    while page not in PAGES and page:
        page = page.rpartition("_")[0]
    yield f"## {short}"
    yield ""
    rows = marks_of(namespace)
    known = {library: set(names_of(module)) for library, module in namespace.others.items()}
    shared = " and ".join(f"{sum(n in names for n in rows)} are in {library}" for library, names in known.items())
    yield f"{len(rows)} functions ([the reference]({page}.md)); of these {shared}."
    yield ""
    yield "| function | also in | forward | reverse | vmap | jit | native |"
    yield "|---|---|---|---|---|---|---|"
    for name, marks in rows.items():
        elsewhere = ", ".join(library for library, names in known.items() if name in names)
        yield _row(f"{{py:obj}}`{name} <{namespace.name}.{name}>`", elsewhere, marks)
    yield ""
    failed = {n: m for n, m in rows.items() if m is not None and m.problems}
    if failed:
        yield "What does not go:"
        yield ""
        for name, marks in failed.items():
            yield f"- `{name}`: {_problem(marks)}"
        yield ""
    if namespace.plain:
        yield "Without arrays to transform, and run by Python, also while a function is traced:"
        yield ""
        for kind, names in namespace.plain.items():
            yield f"- {kind}: {_listed(sorted(names.split()))}"
        yield ""
    if short == "scipy.stats":
        yield from distributions()
    for library in namespace.others:
        missing = absent(namespace, library)
        if missing:
            module = namespace.others[library]
            if library == "SciPy":
                yield f"Of `{module}` these have no traced form; SciPy's own take plain arrays:"
            else:
                yield f"Absent of `{module}`, and why:"
            yield ""
            for reason, names in missing.items():
                if reason == PRIMITIVES:
                    yield f"- {reason}: {len(names)} names that end in `_p`"
                else:
                    yield f"- {reason}: {_listed(names)}" if reason else f"- {_listed(names)}"
            yield ""


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _problem(marks: Marks) -> str:
    """The first sentence of what was raised."""
    kind, text = next(iter(marks.problems.items()))
    sentence = text.split(": ", 1)[1].split("\n")[0].split(": give ")[0].split(": call ")[0]
    return f"{kind}: {sentence.rstrip('.')}."


def distributions() -> Iterator[str]:
    """One row for each distribution: its methods, and those for which something does not go."""
    yield "Distributions, by their methods: the derivatives are those by the variable and by all parameters."
    yield ""
    yield f"| distribution | {' | '.join(METHODS)} | vmap, jit, native |"
    yield f"|---|{'---|' * (len(METHODS) + 1)}"
    for name, calls in DISTRIBUTIONS.items():
        marks = {method: measure(call) for method, call in calls.items()}
        cells = [_derivatives(marks[m]) if m in marks else "" for m in METHODS]
        wrong = [m for m, found in marks.items() if NO in (found.vmap, found.jit) or found.native]
        yield f"| `{name}` | {' | '.join(cells)} | {_listed(wrong) or SIGNS[YES]} |"
    yield ""


def _derivatives(marks: Marks) -> str:
    both = {marks.forward, marks.reverse}
    return SIGNS[NO] if NO in both else SIGNS[YES] if YES in both else SIGNS[FLAT]


def filled(text: str) -> str:
    """The page with its tables in the place of `{tables}`, and versions in that of `{versions}`."""
    versions = ", ".join(f"{'the array API standard' if k == 'standard' else k} {v}" for k, v in VERSIONS.items())
    tables = "\n".join(line for namespace in NAMESPACES for line in table(namespace))
    return text.replace("{versions}", versions).replace("{tables}", tables)


def read_page(app: Any, name: str, source: list[str]) -> None:
    """Sphinx's event `source-read`."""
    if name == "api/functions":
        for path in (*DOCS.glob("*.py"), *(DOCS.parent / "tests" / "calls").glob("*.py")):
            app.env.note_dependency(str(path))
        source[0] = filled(source[0])
