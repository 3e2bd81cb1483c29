"""The examples in README and in the pages of docs/: each ```python block with a `>>>` runs as a doctest.

The blocks of a page share their names, in the order of the page.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.doctest import _get_checker  # for the option NUMBER, which has no public way in

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^(?P<indent> *)```python[^\n]*\n(?P<body>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> doctest.DocTest:
    """The page with all but its examples blanked out, so that line numbers hold."""
    text = page.read_text(encoding="utf-8")
    kept, end = "", 0
    for block in BLOCK.finditer(text):
        if ">>>" in block["body"]:
            start, stop = block.span("body")
            kept += "\n" * text.count("\n", end, start) + text[start:stop]
            end = stop
    return doctest.DocTestParser().get_doctest(kept, {"__name__": "__main__"}, page.name, str(page), 0)


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if examples(page).examples]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples(page):
    checker = _get_checker()
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.register_optionflag("NUMBER")
    report: list[str] = []
    runner = doctest.DocTestRunner(checker=checker, optionflags=options, verbose=False)
    assert not runner.run(examples(page), out=report.append).failed, "".join(report)


def test_blocks_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n```python\n>>> x = 1\n>>> x\n1\n```\n\n```python\nnot run\n```\n\n- item\n  ```python\n"
        "  >>> x + 1.0\n  2.00\n  ```\n\n```sh\n>>> no python\n```\n"
    )
    found = examples(page).examples
    assert [(example.source, example.want, example.lineno) for example in found] == [
        ("x = 1\n", "", 3),
        ("x\n", "1\n", 4),
        ("x + 1.0\n", "2.00\n", 14),
    ]


# ---------------------------------------------------------------- docstrings

#: The public modules; their names are in `__all__`.
MODULES = (
    "functrans api lax lax.linalg numpy numpy.linalg numpy.fft scipy.special scipy.linalg scipy.sparse.linalg "
    "scipy.stats scipy.signal scipy.signal.windows scipy.ndimage scipy.interpolate scipy.integrate scipy.optimize "
    "scipy.fft scipy.cluster.vq scipy.spatial.distance scipy.spatial.transform random nn nn.initializers losses "
    "metrics optim train experimental experimental.jet experimental.ode testing tree tree_util flatten_util debug "
    "checking checkpoint_policies custom_derivatives custom_batching export serialization drawing config"
).split()


def public(module):
    """What of our own can be called, by its public name; exceptions apart."""
    module = importlib.import_module(module if module == "functrans" else f"functrans.{module}")
    for name in module.__all__:
        value = getattr(module, name)
        ours = "functrans" in (str(getattr(value, "__module__", ""))[:9], type(value).__module__[:9])
        error = isinstance(value, type) and issubclass(value, BaseException)
        if callable(value) and ours and not error and not isinstance(value, ModuleType) and not name.startswith("__"):
            yield name, value


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_have_examples(module):
    """And where a function has several names, each stands in its docstring."""
    lacking = []
    for name, value in public(module):
        text = inspect.getdoc(value) or ""
        own = isinstance(value, type) and value.__name__ == name
        if ">>> " not in text or not (own or re.search(rf"\b{re.escape(name)}\b", text)):
            lacking.append(name)
    assert not lacking
