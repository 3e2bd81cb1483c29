"""What stands in `simulated/` runs in Numba's simulator alone: `test_simulator.py` starts a process for it."""

import os

collect_ignore = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["simulated"]
