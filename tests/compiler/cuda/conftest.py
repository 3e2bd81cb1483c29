"""What stands in `on_device/` needs a device that runs CUDA: Numba's simulator, or a GPU.

The simulator is chosen when numba.cuda is first imported, so `test_devices.py` starts processes for these tests.
"""

import os

ON_DEVICE = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" or os.environ.get("FUNCTRANS_TEST_GPU") == "1"
collect_ignore = [] if ON_DEVICE else ["on_device"]
