"""`config.update`: the settings of JAX programs."""

import pytest

import functrans as ft
from functrans import config, errors


@pytest.mark.parametrize("name", sorted(config._FIXED))
def test_what_holds_anyway(name):
    accepted, _ = config._FIXED[name]
    for value in accepted:
        config.update(name, value)
    assert config.read(name) == getattr(config, name) == accepted[0]
    with pytest.raises(errors.ArgumentError, match=f"{name} cannot be 'other': .*"):
        config.update(name, "other")


def test_what_changes_no_result():
    for name, value in {**config._IDLE}.items():
        config.update(name, "other")
        assert config.read(name) == "other"
        config.update(name, value)


@pytest.mark.parametrize(
    ("block", "name", "value"),
    [
        (ft.enable_x64, "jax_enable_x64", True),
        (ft.checking_leaks, "jax_check_tracer_leaks", True),
        (ft.default_matmul_precision, "jax_default_matmul_precision", "float32"),
        (ft.numpy_rank_promotion, "jax_numpy_rank_promotion", "allow"),
        (ft.transfer_guard, "jax_transfer_guard", "disallow"),
    ],
)
def test_blocks(block, name, value):
    outer = config.read(name)
    with block(value):
        assert config.read(name) == value
    assert config.read(name) == outer
    with block(new_val=value):
        assert config.read(name) == value
    if value is True:
        with block():
            assert config.read(name) is True


def test_blocks_that_need_a_value():
    with pytest.raises(errors.ArgumentError, match="transfer_guard takes a value"):
        ft.transfer_guard()


def test_jit_disabled():
    f = ft.jit(lambda x: type(x))
    try:
        config.update("jax_disable_jit", True)
        assert config.jax_disable_jit
        assert f(1.0) is float
        with ft.disable_jit(False):
            assert not config.jax_disable_jit
            config.update("jax_disable_jit", False)
        assert not config.jax_disable_jit
    finally:
        config.update("jax_disable_jit", False)


def test_default_device():
    try:
        config.update("jax_default_device", "cpu")
        assert config.jax_default_device == "cpu"
        with ft.default_device(None):
            assert config.jax_default_device is None
        assert config.jax_default_device == "cpu"
        with pytest.raises(errors.ArgumentError, match="a device is 'cpu', 'cuda'"):
            config.update("jax_default_device", "tpu")
    finally:
        config.update("jax_default_device", None)


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
        config.update("jax_enable_compilation_cache", True)
        assert config.jax_enable_compilation_cache
        config.update("jax_enable_compilation_cache", False)
        assert config.cache_folder() is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("jax_enable_x64", False, r"float64 stays float64; write dtype=np\.float32"),
        ("jax_platforms", "cuda", r'write jit\(f, device="cuda"\)'),
        ("jax_compilation_cache_dir", 3, "it is a path"),
        ("jax_nothing", 1, "there is no setting 'jax_nothing'; of JAX's there are"),
    ],
)
def test_mistakes(name, value, text):
    with pytest.raises(errors.ArgumentError, match=text):
        config.update(name, value)
    with pytest.raises(AttributeError, match="jax_nothing"):
        config.jax_nothing  # noqa: B018
