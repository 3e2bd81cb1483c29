"""A runtime whose kernels are their PTX, run by `ptx_machine.py`: all of a program but CUDA's driver and libraries."""

from ptx_machine import Program

from functrans.compiler.cuda import kernels
from functrans.compiler.cuda.schedule import Limits
from functrans.compiler.cuda.simulator import Simulator


class Emulator(Simulator):
    """A GPU of few blocks."""

    name = "an emulator of PTX"
    limits = Limits(blocks=4)

    def __init__(self):
        super().__init__()
        self.programs = {}

    def launcher(self, kernel):
        if kernel.source not in self.programs:
            self.programs[kernel.source] = Program(kernels.ptx_of(kernel.source, self.capability).decode())
        program, count = self.programs[kernel.source], len(kernel.buffers)
        sizes = [v.aval.size * v.aval.dtype.itemsize for v in kernel.buffers] + [8] * bool(kernel.checks)

        def launch(grid, block, arguments):
            addresses = [*arguments[:count], *arguments[count + len(kernel.sizes) :]]
            program.launch(grid, block, arguments, zip(addresses, sizes, strict=True))

        return launch
