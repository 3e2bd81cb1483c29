"""What stands in `on_device/` needs a device that runs CUDA: Numba's simulator, a GPU, or our machine for PTX.

The simulator is chosen when numba.cuda is first imported, so `test_devices.py` starts processes for these tests.
`FUNCTRANS_TEST_PTX=1 pytest tests/compiler/cuda/on_device` runs them on the machine for PTX, which takes some minutes.
"""

import os

ON_PTX = os.environ.get("FUNCTRANS_TEST_PTX") == "1"
ON_DEVICE = ON_PTX or os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" or os.environ.get("FUNCTRANS_TEST_GPU") == "1"
collect_ignore = [] if ON_DEVICE else ["on_device"]

if ON_PTX:
    from emulation import Emulator

    from functrans.compiler.cuda import runtime

    emulator = Emulator()
    runtime.runtime = lambda: emulator  # type: ignore[assignment]
