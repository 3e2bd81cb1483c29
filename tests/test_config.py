"""`config.update`: the settings of JAX programs."""

import pytest

import functrans as ft
from functrans import config, errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jax_enable_x64", True),
        ("jax_platforms", "cpu"),
        ("jax_platform_name", "cpu"),
        ("jax_platforms", None),
    ],
)
def test_what_holds_anyway(name, value):
    before = {k: v for k, v in vars(config).items() if not callable(v)}
    config.update(name, value)
    assert {k: v for k, v in vars(config).items() if not callable(v)} == before


@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_debug_of_values(kind):
    with config.debug_nans(False), config.debug_infs(False):
        config.update(f"jax_debug_{kind}s", True)
        with pytest.raises(errors.NonFiniteError, match=kind):
            ft.jit(lambda x: x * float(kind))(1.0)
        config.update(f"jax_debug_{kind}s", False)
        assert not ft.numpy.isfinite(ft.jit(lambda x: x * float(kind))(1.0))


def test_debug_of_keys():
    with config.debug_key_reuse(False):
        config.update("jax_debug_key_reuse", True)
        assert config.key_reuse_watched


def test_cache_folder(tmp_path):
    with config.cache(None):
        for value in (str(tmp_path), tmp_path):
            config.update("jax_compilation_cache_dir", value)
            assert config.cache_folder() == tmp_path
        config.update("jax_compilation_cache_dir", None)
        assert config.cache_folder() is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("jax_enable_x64", False, r"float64 stays float64; write dtype=np\.float32"),
        ("jax_platforms", "cuda", r'write jit\(f, device="cuda"\)'),
        ("jax_compilation_cache_dir", 3, "the folder is a path"),
        ("jax_nothing", 1, "knows no setting 'jax_nothing'; it takes jax_enable_x64"),
    ],
)
def test_mistakes(name, value, text):
    with pytest.raises(errors.ArgumentError, match=text):
        config.update(name, value)
