"""Kernels: what `intrinsics` offers their text, and that the cache gives the right code or makes it anew."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding
from numba.core.errors import TypingError
from numba.core.registry import cpu_target

from functrans import config
from functrans.compiler import kernels

ROOT = Path(__file__).parents[2]
SIGNATURE = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
DTYPES = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
ADD = """# {tag}
from functrans.compiler.intrinsics import pointer, size
from numba.types import float64


def kernel(buffers, sizes, lo, hi):
    x = pointer(buffers, 0, float64)
    y = pointer(buffers, 1, float64)
    for i in range(lo, hi):
        y[i] = x[i] + size(sizes, 0)
"""


def call(source, arrays, sizes=(), hi=None):
    table = np.array([a.ctypes.data for a in arrays], np.int64)
    numbers = np.array([*sizes, 0], np.int64)
    SIGNATURE(kernels.load(source))(table.ctypes.data, numbers.ctypes.data, 0, len(arrays[0]) if hi is None else hi)


def loop(entries, *body, name="pointer"):
    """The text of a loop over pointers that are given as `x:float64 y:int64 ...`."""
    pairs = [entry.split(":") for entry in entries.split()]
    lines = [
        "from functrans.compiler.intrinsics import bitcast, float_to_half, half_to_float, pointer, pointer_aliased",
        f"from numba.types import {', '.join(sorted({t for _, t in pairs}))}",
        "",
        "def kernel(buffers, sizes, lo, hi):",
        *(f"    {x} = {name}(buffers, {i}, {t})" for i, (x, t) in enumerate(pairs)),
        "    for i in range(lo, hi):",
        *(f"        {line}" for line in body),
    ]
    return "\n".join(lines) + "\n"


def works(source):
    x, y = np.arange(5.0), np.zeros(5)
    call(source, [x, y], [3])
    return np.array_equal(y, x + 3)


def forget():
    """As in a new process, as far as `kernels` knows."""
    kernels._by_source.clear()


@pytest.fixture
def folder(tmp_path):
    forget()
    with config.cache(tmp_path / "kernels"):
        yield tmp_path / "kernels"


@pytest.fixture
def counts():
    """How the counts changed since the last look."""
    before = [kernels.stats().compiled, kernels.stats().loaded, kernels.stats().reused]

    def look():
        now = [kernels.stats().compiled, kernels.stats().loaded, kernels.stats().reused]
        difference = tuple(b - a for a, b in zip(before, now))
        before[:] = now
        return difference

    return look


# ------------------------------------------------------------------ what the text can say


@pytest.mark.parametrize("name", ["pointer", "pointer_aliased"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_of_every_dtype(dtype, name):
    x = np.arange(7).astype(dtype) * np.dtype(dtype).type(3)
    if x.dtype.kind == "c":
        x = x + 1j * x[::-1]
    y = np.zeros_like(x)
    call(loop(f"x:{dtype} y:{dtype}", "y[hi - 1 - i] = x[i]", name=name), [x, y])
    np.testing.assert_array_equal(y, x[::-1])


def test_values_are_converted_to_the_element_type():
    y = np.zeros(4, np.int16)
    call(loop("y:int16", "y[i] = i + 65536"), [y])
    np.testing.assert_array_equal(y, np.arange(4))


def test_bits():
    x, y = np.array([1.5, -0.0, np.nan, np.inf]), np.zeros(4, np.int64)
    call(loop("x:float64 y:int64", "y[i] = bitcast(x[i], int64)"), [x, y])
    np.testing.assert_array_equal(y, x.view(np.int64))


def test_halves_are_those_of_numpy():
    bits = np.arange(65536, dtype=np.uint16)
    wide = np.zeros(65536, np.float32)
    call(loop("b:uint16 w:float32", "w[i] = half_to_float(b[i])"), [bits, wide])
    np.testing.assert_array_equal(wide, bits.view(np.float16).astype(np.float32))
    # every half, the middle to its neighbour and its surroundings: ties to even, overflow, subnormals
    finite = np.abs(wide[np.isfinite(wide)])
    middle = ((finite[:-1].astype(np.float64) + finite[1:]) / 2).astype(np.float32)
    around = [np.nextafter(middle, np.float32(end)) for end in (0, np.inf)]
    given = np.concatenate([middle, *around, np.array([65519, 65520, 1e-8, 1e30, np.inf], np.float32)])
    given = np.concatenate([given, -given])
    back = np.zeros(len(given), np.uint16)
    call(loop("w:float32 b:uint16", "b[i] = float_to_half(w[i])"), [given, back])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(back, given.astype(np.float16).view(np.uint16))


# ------------------------------------------------------------------ aliasing


def many_buffers(inputs, outputs, name="pointer"):
    entries = " ".join(f"p{i}:float32" for i in range(inputs + outputs))
    reads = [f"x{i} = p{i}[i]" for i in range(inputs)]
    writes = [f"p{inputs + j}[i] = x{j} * x{(j + outputs) % inputs} + x{j + 1}" for j in range(outputs)]
    return loop(entries, *reads, *writes, name=name)


@pytest.mark.skipif(not binding.get_host_cpu_features().get("avx2"), reason="looks for AVX registers")
def test_loops_over_many_buffers_vectorise():
    assert "ymm" in kernels.assembly(many_buffers(16, 8)) or "zmm" in kernels.assembly(many_buffers(16, 8))


def test_many_buffers():
    arrays = [np.random.default_rng(i).random(1000, np.float32) for i in range(24)]
    call(many_buffers(16, 8), arrays)
    for j in range(8):
        np.testing.assert_allclose(arrays[16 + j], arrays[j] * arrays[(j + 8) % 16] + arrays[j + 1], rtol=1e-6)


def test_entries_beyond_what_the_facts_can_tell_apart():
    # 3 and 131 agree in the bits that are told: the loop must see that they may overlap.
    source = loop("x:float64 y:float64", "y[i] = x[i] + 1.0")
    source = source.replace("buffers, 0,", "buffers, 3,").replace("buffers, 1,", "buffers, 131,")
    memory = np.zeros(101)
    call(source, [memory[:-1]] * 131 + [memory[1:]])
    np.testing.assert_array_equal(memory, np.arange(101.0))


def test_aliased_pointers_see_what_the_others_write():
    memory = np.zeros(101)
    call(loop("x:float64 y:float64", "y[i] = x[i] + 1.0", name="pointer_aliased"), [memory[:-1], memory[1:]])
    np.testing.assert_array_equal(memory, np.arange(101.0))


# ------------------------------------------------------------------ the cache


def test_memory_then_disk(folder, counts):
    source = ADD.format(tag="memory then disk")
    assert works(source)
    assert counts() == (1, 0, 0)
    assert works(source)
    assert counts() == (0, 0, 1)
    forget()
    assert works(source)
    assert counts() == (0, 1, 0)
    assert len(list(folder.iterdir())) == 1
    assert kernels.stats().folder == folder


def test_memory_only(counts, tmp_path):
    source = ADD.format(tag="memory only")
    with config.cache(None):
        assert works(source)
        forget()
        assert works(source)
    assert counts() == (2, 0, 0)


DAMAGES = {
    "empty": lambda b: b"",
    "half": lambda b: b[: len(b) // 2],
    "short": lambda b: b[:-1],
    "head only": lambda b: b[:20],
    "a bit": lambda b: b[:1000] + bytes([b[1000] ^ 1]) + b[1001:],
    "another file": lambda b: b"another format" + b,
    "another version": lambda b: b.replace(b"kernel 2", b"kernel 1", 1),
    "longer": lambda b: b + b"more",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_made_anew(damage, folder, counts):
    source = ADD.format(tag="damaged")
    assert works(source)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    forget()
    counts()
    assert works(source)
    assert counts() == (1, 0, 0)
    forget()
    assert works(source)
    assert counts() == (0, 1, 0)


def test_a_file_under_another_name_is_not_taken(folder, counts):
    assert works(ADD.format(tag="one"))
    (path,) = folder.iterdir()
    two = ADD.format(tag="two").replace("+ size", "- size")
    path.rename(folder / f"{kernels._key(two)}.kernel")
    counts()
    x, y = np.arange(5.0), np.zeros(5)
    call(two, [x, y], [3])
    np.testing.assert_array_equal(y, x - 3)
    assert counts() == (1, 0, 0)


def test_a_folder_in_place_of_a_file(folder, monkeypatch):
    monkeypatch.setattr(kernels, "_warned", False)
    source = ADD.format(tag="a folder")
    (folder / f"{kernels._key(source)}.kernel").mkdir(parents=True)
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert works(source)


def test_an_unusable_folder_warns_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kernels, "_warned", False)
    with config.cache(tmp_path / "file" / "kernels"):
        with pytest.warns(UserWarning, match="compiled kernels cannot be kept in .*FUNCTRANS_CACHE_DIR"):
            assert works(ADD.format(tag="unusable 1"))
        assert works(ADD.format(tag="unusable 2"))  # warnings are errors here


def test_old_files_go(folder):
    folder.mkdir()
    names = ["old.kernel", "new.kernel", ".writing-old", ".writing-new", "notes.txt"]
    for name in names:
        (folder / name).write_text("")
        if name != "new.kernel" and name != ".writing-new":
            os.utime(folder / name, (time.time() - 1e8,) * 2)
    kernels._prune(folder)
    assert sorted(p.name for p in folder.iterdir()) == [".writing-new", "new.kernel", "notes.txt"]


def test_the_key_has_all_that_decides_the_meaning(monkeypatch):
    source = "from functrans.compiler.fortran import call_trsm\n" + ADD.format(tag="key")
    assert {"functrans.compiler.fortran", "functrans.compiler.intrinsics"} <= set(kernels.modules_of(source))
    keys = {kernels._key(source), kernels._key(source + "\n")}
    content, environment = kernels.content_of, kernels._environment()
    for module in kernels.modules_of(source):
        monkeypatch.setattr(kernels, "content_of", lambda m, module=module: "changed" if m == module else content(m))
        keys.add(kernels._key(source))
    monkeypatch.setattr(kernels, "content_of", content)
    for i in range(len(environment)):
        changed = [*environment[:i], "changed", *environment[i + 1 :]]
        monkeypatch.setattr(kernels, "_environment", lambda changed=changed: changed)
        keys.add(kernels._key(source))
    assert len(keys) == 2 + len(kernels.modules_of(source)) + len(environment)
    assert "functrans.compiler.fortran" not in kernels.modules_of(ADD)


def test_threads_that_load_at_once(folder, counts):
    sources = [ADD.format(tag=f"threads {i}") for i in range(3)]
    results = []

    def work():
        results.extend(works(s) for s in sources)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [True] * 18
    assert counts()[:2] == (3, 0)


# ------------------------------------------------------------------ processes

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_kernels import ADD, works
from functrans.compiler import kernels
assert all(works(ADD.format(tag=f"process {{i}}")) for i in range(3))
print(kernels.stats().compiled, kernels.stats().loaded)
"""


def start(script, folder):
    environment = {**os.environ, "FUNCTRANS_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    environment.pop("FUNCTRANS_CACHE", None)
    text = script.format(tests=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out.split()


def test_a_second_process_compiles_nothing(tmp_path):
    assert finish(start(SCRIPT, tmp_path)) == ["3", "0"]
    assert finish(start(SCRIPT, tmp_path)) == ["0", "3"]


def test_processes_on_one_cold_folder(tmp_path):
    processes = [start(SCRIPT, tmp_path) for _ in range(4)]
    for process in processes:
        compiled, loaded = finish(process)
        assert int(compiled) + int(loaded) == 3
    assert len(list(tmp_path.glob("*.kernel"))) == 3
    assert not list(tmp_path.glob(".writing-*"))


def test_numba_is_imported_on_first_use(tmp_path):
    script = "import sys\nfrom functrans.compiler import kernels\nprint('numba' in sys.modules)\n"
    assert finish(start(script, tmp_path)) == ["False"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forks_while_a_thread_compiles(tmp_path):
    script = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
from test_kernels import ADD, works
def work():
    for i in range(6):
        assert works(ADD.format(tag=f"parent {{i}}"))
thread = threading.Thread(target=work)
thread.start()
for i in range(4):
    child = os.fork()
    if not child:
        os._exit(0 if works(ADD.format(tag=f"child {{i}}")) and works(ADD.format(tag="parent 5")) else 1)
    assert os.waitpid(child, 0)[1] == 0
thread.join()
print("done")
"""
    assert finish(start(script, tmp_path)) == ["done"]


@pytest.mark.parametrize("collects", [True, False])
def test_numba_and_the_collector_are_left_as_they_were(collects):
    context, codegen = cpu_target.typing_context, cpu_target.target_context.codegen()
    before = {*vars(context)}, {*vars(codegen)}
    try:
        if not collects:
            gc.disable()
        kernels.assembly(ADD.format(tag="as they were"))
        assert gc.isenabled() is collects
        with pytest.raises(TypingError):
            kernels.assembly(ADD.replace("size(sizes, 0)", "size(sizes, None)"))
        assert gc.isenabled() is collects
    finally:
        gc.enable()
    assert before == ({*vars(context)}, {*vars(codegen)})
