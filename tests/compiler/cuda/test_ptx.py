"""The kernels of every family as PTX for two generations of GPUs, which a machine for PTX runs: no GPU is needed."""

import importlib.util
import os
import re

import numpy as np
import pytest
from emulation import Emulator
from families import FAMILIES, WITH_DOUBLES, assert_close
from ptx_machine import Fault, Program

import functrans as ft
import functrans.numpy as fnp
from functrans import config
from functrans.compiler import plan as p
from functrans.compiler.cuda import kernels
from functrans.compiler.cuda.program import DeviceProgram, lower
from functrans.compiler.cuda.schedule import Limits

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"),
    pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the simulator compiles nothing"),
]

CAPABILITIES = [(8, 0), (9, 0)]


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with config.cache(tmp_path_factory.mktemp("kernels")):
        yield


def plan_of(function, args):
    traced = ft.jit(function).trace(*args)
    return lower(traced.jaxpr.jaxpr, traced.jaxpr.consts).plan


def modes(plan):
    kinds = {p.Gemm: lambda i: "gemm", p.CallKernel: lambda i: i.kernel.mode}
    return [kinds[type(i)](i) for i in plan.instructions if type(i) in kinds]


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name):
    """What the PTX is like, and what it computes.

    With the grids of a GPU; then with small ones, for several turns, and memory that is not aligned to vectors.
    """
    function, args, wanted = FAMILIES[name]
    plan = plan_of(function, args)
    check_ptx(name, plan, wanted)
    values = ft.tree.leaves(ft.jit(function)(*args))
    emulator = Emulator()
    for got, value in zip(run(DeviceProgram(plan, emulator), args), values, strict=True):
        assert_close(got, value)
    emulator.limits, emulator.alignment = Limits(threads=64, most_threads=64, blocks=1), 8
    for got, value in zip(run(DeviceProgram(plan, emulator), args), values, strict=True):
        assert_close(got, value)


def check_ptx(name, plan, wanted):
    assert not [i for i in plan.instructions if isinstance(i, p.CallPython)]
    assert wanted is None or modes(plan) == wanted
    for kernel in plan.kernels:
        for text in filter(None, (kernel, kernel.plain, kernel.looping)):
            for capability in CAPABILITIES if text is kernel else CAPABILITIES[1:]:
                ptx = kernels.ptx_of(text.source, capability).decode()
                assert f".target sm_{capability[0]}{capability[1]}" in ptx
                assert ".local" not in ptx
                assembled = kernels.link(ptx.encode(), capability)[1]
                assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in assembled
                assert int(re.search(r"Used (\d+) registers", assembled)[1]) <= 128  # of 65536, for 512 threads
                assert f".maxntid {512 if text.mode == 'block' else 256}" in ptx
                if name not in WITH_DOUBLES:
                    assert not re.search(r"\.f64", ptx)
                for access, word in (("ld", f"load{text.width}"), ("st", f"store{text.width}")):
                    if f"{word}(" in text.source:
                        assert re.search(rf"{access}\.global\.(v2|v4|b32)", ptx)


def run(program, args):
    return [program.runtime.download(out) for out in program(*map(program.runtime.upload, map(np.asarray, args)))]


def test_faults_are_found():
    """The machine is no good if it takes everything."""

    def fault(name, change=lambda ptx: ptx, shorter=0, moved=0):
        function, args, _ = FAMILIES[name]
        emulator, plan = Emulator(), plan_of(function, args)
        (kernel,) = plan.kernels
        x, out = emulator.upload(args[0]), emulator.empty(plan.outputs[0].aval.shape, plan.outputs[0].aval.dtype)
        program = Program(change(kernels.ptx_of(kernel.source, (9, 0)).decode()))
        arrays = [out if v in kernel.writes else x for v in kernel.buffers]
        places = [(emulator.address(a), a.nbytes - shorter) for a in arrays]
        with pytest.raises(Fault) as caught:
            program.launch((1, 1), (256, 1), [*(a + moved for a, _ in places), *kernel.sizes], places)
        return str(caught.value)

    assert "outside of" in fault("affine", shorter=4)
    assert "not aligned" in fault("affine", moved=4)
    assert "another one wrote" in fault("sum", lambda ptx: ptx.replace("bar.sync", "// "))
    assert "in its mask" in fault("sum", lambda ptx: re.sub(r"(mov\.u32 \t%r\d+), -1;", r"\1, 1;", ptx))


@pytest.mark.parametrize("name", ["random_normal"])
def test_memory_is_written_in_vectors_of_16_bytes(name):
    function, args, _ = FAMILIES[name]
    (kernel,) = plan_of(function, args).kernels
    assert "st.global.v4" in kernels.ptx_of(kernel.source, (9, 0)).decode()


@pytest.mark.parametrize("name", ["affine", "black_scholes", "rows_of_a_broadcast", "softmax", "layer_norm", "sum"])
def test_memory_is_read_in_vectors_of_16_bytes(name):
    function, args, _ = FAMILIES[name]
    kernel, *_ = plan_of(function, args).kernels
    assert kernel.width == 4
    assert "ld.global.v4" in kernels.ptx_of(kernel.source, (9, 0)).decode()


def test_a_new_size_is_the_same_kernel():
    texts = {plan_of(FAMILIES["softmax"][0], (np.ones((n, m), np.float32),)).kernels[0].source
             for n, m in ((20, 64), (33, 200), (100, 500))}  # fmt: skip
    assert len(texts) == 1


def test_machine_code_is_kept_on_disk(tmp_path):
    source = plan_of(lambda x: x * 3 - 1, (np.ones(50, np.float32),)).kernels[0].source
    with config.cache(tmp_path):
        kernels._cubins.clear()
        first = kernels.cubin_of(source, (9, 0))
        (file,) = tmp_path.glob("*.kernel")
        for change in (lambda content: content, lambda content: content[:-7], lambda content: b""):
            file.write_bytes(change(file.read_bytes()))
            kernels._cubins.clear()
            kernels._ptx.clear()
            before = kernels.stats().loaded
            again = kernels.cubin_of(source, (9, 0))
            assert again[1].encode() in again[0]
            assert (again == first) or change(b"12345678") != b"12345678"
            assert kernels.stats().loaded - before == (change(b"12345678") == b"12345678")


def test_without_nvjitlink_the_driver_gets_ptx(monkeypatch, tmp_path):
    def missing(ptx, architecture):
        raise RuntimeError("no nvJitLink")

    monkeypatch.setattr(kernels, "link", missing)
    source = plan_of(lambda x: x * 5 - 1, (np.ones(50, np.float32),)).kernels[0].source
    with config.cache(tmp_path):
        code, entry = kernels.cubin_of(source, (9, 0))
    assert b".target sm_90" in code
    assert entry.encode() in code
    assert code.endswith(b"\0")


def test_kernels_of_both_kinds_compile_in_turn():
    """Numba's compilers for CPU and GPU share what they know of a function."""
    x = np.linspace(-1, 1, 50, dtype=np.float32)
    for n in range(2):
        f = lambda x, n=n: fnp.maximum(x, n) * fnp.exp(-x) + n
        kernels.ptx_of(plan_of(f, (x,)).kernels[0].source, (9, 0))
        np.testing.assert_allclose(ft.jit(f)(x), f(x), rtol=1e-6)


def test_functrans_imports_nothing_of_cuda():
    import subprocess
    import sys

    text = (
        "import sys, functrans as ft, numpy as np; ft.jit(ft.grad(lambda x: np.sin(x)))(1.0); ft.devices(); "
        "print([m for m in sys.modules if m.startswith(('numba.cuda', 'cupy', 'functrans.compiler.cuda'))])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
