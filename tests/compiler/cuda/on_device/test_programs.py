"""Random programs on the device."""

import pytest
from programs import check_on_gpu


@pytest.mark.parametrize("seed", range(25))
def test_random_program(seed):
    check_on_gpu(seed)
