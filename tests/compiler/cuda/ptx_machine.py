"""A machine for PTX in NumPy: runs what Numba compiled for a GPU, thread for thread, without a GPU.

It has the instructions that our kernels use, and is stricter than a GPU: every access must lie in a buffer of the
kernel and be aligned to its size; threads that meet the same word of memory, one of them writing, without a barrier (of
shared memory) or atomic operations between, are an error, and so are warps that do not meet at a shuffle. Threads of a
block go on in step where they stand at the same instruction, those that are behind first, which is how they come
together again after branches. The instructions are those of NVIDIA's "PTX ISA", chapter 9.
"""

import operator
import re
from collections.abc import Callable
from functools import cache

import numpy as np

NOBODY, MANY = -1, -2
_SHARED, _LOCAL = 1 << 62, 1 << 61  # where shared and local memory begin: no addresses of the host

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_TYPES = {
    **{f"u{8 * n}": t for n, t in _UNSIGNED.items()}, **{f"b{8 * n}": t for n, t in _UNSIGNED.items()},
    "s8": np.int8, "s16": np.int16, "s32": np.int32, "s64": np.int64, "f16": np.float16, "f32": np.float32,
    "f64": np.float64, "pred": np.bool_,
}  # fmt: skip
_WIDER = {"s16": np.int32, "u16": np.uint32, "s32": np.int64, "u32": np.uint64}
_PREDEFINED = frozenset({"tid", "ntid", "ctaid", "nctaid"})
_SPECIAL = re.compile(r"%(n?tid|n?ctaid)\.([xyz])$")


class Fault(Exception):
    """What a GPU would not do, or do differently from time to time."""


class Buffers:
    """Memory that a kernel may touch, by address: typed views, and who wrote and read it in this launch."""

    def __init__(self, parts):
        self.parts = sorted(((a, n) for a, n in parts if n))
        self.starts = np.array([a for a, _ in self.parts], np.uint64)
        self.memory = [_bytes_at(a, n) for a, n in self.parts]
        self.writer = [np.full(n, NOBODY, np.int64) for _, n in self.parts]
        self.reader = [np.full(n, NOBODY, np.int64) for _, n in self.parts]

    def find(self, addresses, size):
        """The buffer of addresses, all of one buffer, and their offsets in it."""
        which = np.searchsorted(self.starts, addresses, "right") - 1
        if (which != which[0]).any():
            return None, None
        n = int(which[0])
        offsets = (addresses - self.starts[n]).astype(np.int64) if n >= 0 else addresses
        if n < 0 or (offsets + size > self.parts[n][1]).any():
            raise Fault(f"an access of {size} bytes outside of the kernel's buffers")
        if (addresses % np.uint64(size)).any():
            raise Fault(f"an access of {size} bytes that is not aligned")
        return n, offsets

    def forget(self):
        for table in (*self.writer, *self.reader):
            table[:] = NOBODY

    def check_read(self, n, offsets, size, who):
        for b in range(size):
            seen = self.writer[n][offsets + b]
            if ((seen != NOBODY) & (seen != who)).any():
                raise Fault("a thread reads what another one wrote")
            before = self.reader[n][offsets + b]
            self.reader[n][offsets + b] = np.where((before == NOBODY) | (before == who), who, MANY)

    def check_write(self, n, offsets, size, who):
        for b in range(size):
            for table, what in ((self.writer, "wrote"), (self.reader, "read")):
                seen = table[n][offsets + b]
                if ((seen != NOBODY) & (seen != who)).any():
                    raise Fault(f"a thread writes what another one {what}")
        for b in range(size):
            self.writer[n][offsets + b] = who
            if (self.writer[n][offsets + b] != who).any():
                raise Fault("threads write to the same place at once")


def _bytes_at(address, size):
    import ctypes

    return np.frombuffer((ctypes.c_char * size).from_address(address), np.uint8)


class Block:
    """The state of the threads of one block."""

    def __init__(self, program, index, grid, block, buffers, params):
        self.program, self.buffers, self.params = program, buffers, params
        self.n = block[0] * block[1]
        threads = np.arange(self.n, dtype=np.uint32)
        self.special = {
            "tid.x": threads % np.uint32(block[0]), "tid.y": threads // np.uint32(block[0]), "tid.z": threads * 0,
            **{f"ntid.{d}": threads * 0 + np.uint32(v) for d, v in zip("xyz", (*block, 1))},
            **{f"nctaid.{d}": threads * 0 + np.uint32(v) for d, v in zip("xyz", (*grid, 1))},
            **{f"ctaid.{d}": threads * 0 + np.uint32(v) for d, v in zip("xyz", (*index, 0))},
        }  # fmt: skip
        self.registers = {}
        self.who = threads.astype(np.int64) + self.n * (index[0] + grid[0] * index[1])
        size = program.bytes["shared"]
        self.own = Buffers(())
        self.own.parts, self.own.starts = [(_SHARED, size)], np.array([_SHARED], np.uint64)
        self.own.memory = [np.full(size, 0xA5, np.uint8)]
        self.own.writer, self.own.reader = ([np.full(size, NOBODY, np.int64)] for _ in "wr")
        self.local = np.full((self.n, program.bytes["local"]), 0xA5, np.uint8)
        self.pc = np.zeros(self.n, np.int64)
        self.waits = np.zeros(self.n, bool)  # at a barrier
        self.steps = 0

    def run(self):
        code, end = self.program.code, len(self.program.code)
        while True:
            live = (self.pc < end) & ~self.waits
            if not live.any():
                left = self.pc < end
                if not left.any():
                    return
                if (self.pc[left] != self.pc[left][0]).any():
                    raise Fault("threads wait at different barriers")
                self.waits[:] = False
                self.pc[left] += 1
                self.own.forget()
                continue
            at = int(self.pc[live].min())
            active = np.flatnonzero(live & (self.pc == at))
            self.steps += 1
            if self.steps > 3_000_000:
                raise Fault("a kernel that does not come to its end")
            self.pc[active] = at + 1
            code[at](self, active)

    # ------------------------------------------------------------ values

    def value(self, name, active, dtype):
        """An operand as a type: a register, a special register, a literal, an address of shared memory."""
        found = self.registers.get(name)
        if found is not None:
            return _as(found[active], dtype)
        special = _SPECIAL.match(name)
        if special:
            return _as(self.special[f"{special[1]}.{special[2]}"][active], dtype)
        if name in self.program.places:
            return np.array([self.program.places[name]], np.uint64).astype(dtype)
        return _literal(name, dtype)

    def set(self, name, active, value):
        if name == "_":
            return
        value = np.asarray(value)
        old = self.registers.get(name)
        if old is None or old.dtype != value.dtype:
            fresh = np.zeros(self.n, value.dtype)
            if old is not None:  # the same bits as another type
                fresh = _as(old, value.dtype.type).copy()
            old = self.registers[name] = fresh
        old[active] = value

    # ------------------------------------------------------------ memory

    def address(self, text, active):
        base, _, offset = text.partition("+")
        return self.value(base, active, np.uint64) + np.uint64(int(offset or 0) % (1 << 64))

    def spaces(self, addresses, size):
        """Groups of positions with their buffers: those in which all lie in one buffer."""
        for space in (self.own, self.buffers):
            inside = (addresses >= _SHARED) == (space is self.own)
            if not inside.any():
                continue
            positions = np.flatnonzero(inside)
            which = np.searchsorted(space.starts, addresses[positions], "right")
            for n in np.unique(which):
                chosen = positions[which == n]
                yield space, chosen, *space.find(addresses[chosen], size)

    def is_local(self, addresses):
        inside = (addresses >= _LOCAL) & (addresses < _SHARED)
        if inside.any() and not inside.all():
            raise Fault("local and other memory at once")
        return bool(inside.all())

    def load(self, addresses, active, dtype, count):
        size = np.dtype(dtype).itemsize
        out = np.empty((count, len(active)), dtype)
        addresses = np.broadcast_to(addresses, active.shape)
        if self.is_local(addresses):
            for i in range(count):
                out[i] = self.local.view(dtype)[active, (addresses - np.uint64(_LOCAL)).astype(int) // size + i]
            return out
        for space, chosen, n, offsets in self.spaces(addresses, size * count):
            who = self.who[active[chosen]]
            space.check_read(n, offsets, size * count, who)
            whole = space.memory[n][: len(space.memory[n]) // size * size].view(dtype)
            for i in range(count):
                out[i, chosen] = whole[offsets // size + i]
        return out

    def store(self, addresses, active, dtype, values):
        size, count = np.dtype(dtype).itemsize, len(values)
        addresses = np.broadcast_to(addresses, active.shape)
        if self.is_local(addresses):
            for i, value in enumerate(values):
                self.local.view(dtype)[active, (addresses - np.uint64(_LOCAL)).astype(int) // size + i] = value
            return
        for space, chosen, n, offsets in self.spaces(addresses, size * count):
            space.check_write(n, offsets, size * count, self.who[active[chosen]])
            whole = space.memory[n][: len(space.memory[n]) // size * size].view(dtype)
            for i, value in enumerate(values):
                whole[offsets // size + i] = np.broadcast_to(value, len(active))[chosen]

    def atomic(self, addresses, active, dtype, change):
        """`new = change(old, position)`, one thread after another."""
        size = np.dtype(dtype).itemsize
        out = np.empty(len(active), dtype)
        for space, chosen, n, offsets in self.spaces(addresses, size):
            whole = space.memory[n][: len(space.memory[n]) // size * size].view(dtype)
            for position, offset in zip(chosen, offsets // size):
                out[position] = old = whole[offset]
                whole[offset] = change(old, position)
        return out


def _as(value, dtype):
    """The bits of a value as another type; registers may be wider than what an instruction reads of them."""
    if value.dtype == dtype:
        return value
    size = np.dtype(dtype).itemsize
    if value.dtype.itemsize > size:
        value = value.view(_UNSIGNED[value.dtype.itemsize]).astype(_UNSIGNED[size])
    elif value.dtype.itemsize < size:
        value = value.astype(_UNSIGNED[size])
    return value.view(dtype)


def _aligned(array):
    memory = np.empty(len(array) + 16, np.uint8)
    start = -memory.ctypes.data % 16
    memory[start : start + len(array)] = array
    return memory[start : start + len(array)]


@cache
def _literal(text, dtype):
    if re.fullmatch(r"0[fd][0-9A-Fa-f]+", text):
        bits = np.array([int(text[2:], 16)], np.uint32 if text[1] == "f" else np.uint64)
        return bits.view(np.float32 if text[1] == "f" else np.float64).view(dtype)
    number = int(text.removesuffix("U"), 0)
    size = np.dtype(dtype).itemsize
    return np.array([number % (1 << 8 * size)], _UNSIGNED[size]).view(dtype)


# ---------------------------------------------------------------- instructions


def _shift(x, n, function, bits):
    """Shifts by more than all bits leave zeros, or copies of the sign."""
    signed = np.issubdtype(x.dtype, np.signedinteger)
    far = n >= bits
    kept = function(x, np.where(far, bits - 1 if signed else 0, n).astype(x.dtype))
    return kept if signed and function is np.right_shift else np.where(far, x.dtype.type(0), kept)


def _quotient(x, y):
    if np.issubdtype(x.dtype, np.floating):
        return np.divide(x, y)
    zero = y == 0
    safe = np.where(zero, y.dtype.type(1), y)
    q = np.where(zero, ~x.dtype.type(0), x // safe)
    if np.issubdtype(x.dtype, np.signedinteger):  # towards zero
        q = q + ((x % safe != 0) & ((x < 0) != (safe < 0)) & ~zero)
    return q.astype(x.dtype)


def _fma(x, y, z):
    wide = np.float64 if x.dtype.itemsize < 8 else np.longdouble
    return (x.astype(wide) * y + z).astype(x.dtype)


def _copysign(x, y):
    return np.copysign(y, x)


_BINARY: dict[str, Callable] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _quotient, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "rem": lambda x, y: x - _quotient(x, y) * y, "copysign": _copysign,
}  # fmt: skip
_UNARY: dict[str, Callable] = {
    "mov": lambda x: x, "neg": np.negative, "abs": np.abs, "not": np.invert, "sqrt": np.sqrt,
    "rcp": lambda x: x.dtype.type(1) / x, "rsqrt": lambda x: x.dtype.type(1) / np.sqrt(x), "ex2": np.exp2,
    "popc": lambda x: np.bitwise_count(x).astype(np.uint32),
    "clz": lambda x: np.array([8 * x.itemsize - int(v).bit_length() for v in x], np.uint32),
}  # fmt: skip
_CARRYING = frozenset({"add", "addc", "sub", "subc", "mad", "madc"})
_COMPARE: dict[str, Callable] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "lo": operator.lt, "ls": operator.le, "hi": operator.gt, "hs": operator.ge,
}  # fmt: skip
_ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
_ATOMIC: dict[str, Callable] = {
    "add": np.add, "max": np.maximum, "min": np.minimum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "exch": lambda x, y: y,
}  # fmt: skip


def _compare(name, x, y):
    unordered = np.issubdtype(x.dtype, np.floating)
    nan = (np.isnan(x) | np.isnan(y)) if unordered else np.zeros(1, bool)
    if name in ("num", "nan"):
        return nan if name == "nan" else ~nan
    if unordered and name.endswith("u"):
        return _COMPARE[name[:-1]](x, y) | nan
    return _COMPARE[name](x, y) & ~nan


def _convert(x, to, modes):
    if np.issubdtype(x.dtype, np.floating):
        rounding = next((_ROUND[m] for m in modes if m in _ROUND), None)
        if rounding is not None:
            x = rounding(x)
        if np.issubdtype(to, np.integer):
            info = np.iinfo(to)
            wide = x.astype(np.longdouble)
            clipped = np.where(np.isnan(x), 0, np.clip(wide, info.min, info.max))
            return clipped.astype(to)
    return x.astype(to)


class Program:
    """A kernel's PTX, ready to run."""

    def __init__(self, ptx):
        text = re.sub(r"//[^\n]*", "", ptx)
        entry = re.search(r"\.visible \.entry (\w+)\(([^)]*)\)(.*?)\{(.*?)\n\}", text, re.DOTALL)
        assert entry is not None
        self.name, head = entry[1], entry[3]
        self.params = re.findall(r"\.param \.u64 (\w+)", entry[2])
        assert entry[2].count(".param") == len(self.params)
        found = re.search(r"\.maxntid (\d+)", head)
        self.most_threads = int(found[1]) if found else 1024
        self.functions = {}
        for out, name, ins, body in re.findall(
            r"\.func\s+(?:\(([^)]*)\))?\s*(\w+)\s*\(([^)]*)\)\s*\{(.*?)\n\}", text, re.DOTALL
        ):
            self.functions[name] = re.findall(r"(\w+)(?:\[\d+\])?$", out), re.findall(r"(\w+)(?=,|\s*$)", ins), body
        self.places, self.constants, self.bytes = {}, [], {"shared": 0, "local": 0}
        for space, align, name, size in re.findall(r"\.(shared|local) \.align (\d+) \.b8\s+(\w+)\[(\d+)\]", text):
            start = -(-self.bytes[space] // int(align)) * int(align)
            self.places[name] = (_SHARED if space == "shared" else _LOCAL) + start
            self.bytes[space] = start + int(size)
        for name, values in re.findall(r"\.(?:global|const) \.align \d+ \.b8 (\w+)\[\d+\] = \{([^}]*)\}", text):
            self.constants.append(_aligned(np.array(values.split(","), np.uint8)))
            self.places[name] = self.constants[-1].ctypes.data
        self.labels, self.statements, self.inlined = {}, [], 0
        self.read(entry[4])
        self.code = [self.instruction(s) for s in self.statements]

    def read(self, body):
        """Statements of a body; functions that it calls are read in their places."""
        body = re.sub(r"^\s*[{}]\s*$", "", body, flags=re.MULTILINE)
        body = re.sub(r"\.(reg|shared|local|param|pragma) [^;]*;", "", body)
        for statement in body.split(";"):
            statement = " ".join(statement.split())
            while match := re.match(r"(\$\w+): ?", statement):
                self.labels[match[1]] = len(self.statements)
                statement = statement[match.end() :]
            if statement.startswith("call"):
                self.call(statement)
            elif statement:
                self.statements.append(statement)

    def call(self, statement):
        match = re.match(r"call(?:\.uni)? (?:\(([\w, ]*)\), )?(\w+), \(([\w, ]*)\)", statement)
        assert match, statement
        outs, ins, body = self.functions[match[2]]
        self.inlined += 1
        own = f"call{self.inlined}"
        for names, given in ((outs, match[1] or ""), (ins, match[3])):
            for name, passed in zip(names, given.split(",")):
                body = re.sub(rf"\b{name}\b", passed.strip(), body)
        body = re.sub(r"%(\w+)", lambda m: m[0] if m[1] in _PREDEFINED else f"%{own}_{m[1]}", body)
        body = re.sub(r"\$(\w+)", rf"${own}_\1", body)
        body = re.sub(r"\bret\b", f"bra ${own}_end", body)
        self.read(body)
        self.labels[f"${own}_end"] = len(self.statements)

    def launch(self, grid, block, arguments, buffers):
        """Run blocks one after another; arguments are integers of 64 bits, buffers pairs of address and size."""
        assert len(arguments) == len(self.params), "a kernel with another number of arguments"
        if not (0 < grid[0] < 1 << 31 and 0 < grid[1] < 1 << 16 and 0 < block[0] * block[1] <= self.most_threads):
            raise Fault(f"a grid of {grid} with blocks of {block}")
        params = {name: np.array([v % (1 << 64)], np.uint64) for name, v in zip(self.params, arguments)}
        memory = Buffers([*buffers, *((c.ctypes.data, len(c)) for c in self.constants)])
        with np.errstate(all="ignore"):
            for y in range(grid[1]):
                for x in range(grid[0]):
                    Block(self, (x, y), grid, block, memory, params).run()

    # ------------------------------------------------------------ one instruction

    def instruction(self, text):
        guard = None
        if text.startswith("@"):
            guard, text = text[1:].split(None, 1)
        name, _, rest = text.partition(" ")
        operands = [o.strip() for o in re.split(r",(?![^{]*\})", rest.strip())] if rest.strip() else []
        parts = name.split(".")
        execute = self.execution(parts, operands)
        if guard is None:
            return execute
        negate, guard = guard.startswith("!"), guard.removeprefix("!")

        def guarded(block, active):
            holds = np.broadcast_to(block.value(guard, active, np.bool_), active.shape) != negate
            if holds.any():
                execute(block, active[holds])

        return guarded

    def execution(self, parts, operands):
        op, modes, kind = parts[0], parts[1:], parts[-1]
        t = _TYPES.get(kind)
        if op == "bra":
            target = self.target(operands[0])
            return lambda b, a: b.pc.__setitem__(a, target())
        if op in ("ret", "exit"):
            return lambda b, a: b.pc.__setitem__(a, len(self.code))
        if op in ("bar", "barrier"):

            def barrier(b, a):
                b.waits[a] = True
                b.pc[a] -= 1

            return barrier
        if op in ("membar", "fence", "griddepcontrol"):
            return lambda b, a: None
        if op == "ld" and "param" in modes:
            name = operands[1].strip("[]")
            if name in self.params:
                return lambda b, a: b.set(operands[0], a, b.params[name].astype(t))
            return lambda b, a: b.set(operands[0], a, b.value(name.removesuffix("+0"), a, t))
        if op == "st" and "param" in modes:
            name = operands[0].strip("[]").removesuffix("+0")
            return lambda b, a: b.set(name, a, b.value(operands[1], a, t))
        if op in ("ld", "ldu"):
            targets = operands[0].strip("{}").split(",")
            width = int(next((m[1:] for m in modes if re.fullmatch(r"v\d", m)), 1))
            assert width == len(targets)

            def load(b, a):
                found = b.load(b.address(operands[1].strip("[]"), a), a, t, width)
                for name, value in zip(targets, found):
                    b.set(name.strip(), a, value)

            return load
        if op == "st":
            sources = [s.strip() for s in operands[1].strip("{}").split(",")]
            return lambda b, a: b.store(
                b.address(operands[0].strip("[]"), a), a, t, [b.value(s, a, t) for s in sources]
            )
        if op in ("atom", "red"):
            return self.atomic(op, modes, operands, t)
        if op == "shfl":
            return lambda b, a: self.shuffle(b, a, modes[1], operands)
        if op == "cvta":
            return lambda b, a: b.set(operands[0], a, b.value(operands[1], a, np.uint64))
        if op == "cvt":
            source = _TYPES[modes[-1]]
            target_type = _TYPES[modes[-2]]
            return lambda b, a: b.set(operands[0], a, _convert(b.value(operands[1], a, source), target_type, modes))
        if op == "mov" and (operands[0].startswith("{") or operands[1].startswith("{")):
            return self.packing(operands, t)
        if op == "setp":
            return self.comparison(modes, operands, t)
        if op == "selp":
            return lambda b, a: b.set(
                operands[0], a,
                np.where(b.value(operands[3], a, np.bool_), b.value(operands[1], a, t), b.value(operands[2], a, t)),
            )  # fmt: skip
        if op in ("shl", "shr"):
            function, bits = (np.left_shift if op == "shl" else np.right_shift), 8 * np.dtype(t).itemsize
            return lambda b, a: b.set(
                operands[0], a, _shift(b.value(operands[1], a, t), b.value(operands[2], a, np.uint32), function, bits)
            )
        return self.arithmetic(op, modes, kind, operands, t)

    def arithmetic(self, op, modes, kind, operands, t):
        ins = operands[1:]
        if op in _CARRYING and ("cc" in modes or op.endswith("c")):
            return self.carrying(op, modes, operands, t)
        if op == "shf":
            left = modes[0] == "l"

            def funnel(low, high, n):
                n = n & np.uint32(31)
                whole = (high.astype(np.uint64) << np.uint64(32)) | low
                return ((whole << n) >> np.uint64(32) if left else whole >> n).astype(np.uint32)

            function: Callable = funnel
        elif op == "bfi":

            def function(x, y, at, n):
                at, n = at.astype(t), n.astype(t)
                mask = ((t(1) << n) - t(1)) << at
                return (y & ~mask) | ((x << at) & mask)

            return lambda b, a: b.set(operands[0], a, function(
                b.value(ins[0], a, t), b.value(ins[1], a, t), b.value(ins[2], a, np.uint32),
                b.value(ins[3], a, np.uint32)))  # fmt: skip
        elif op in ("mul", "mad") and "wide" in modes:
            wide = _WIDER[kind]
            return lambda b, a: b.set(
                operands[0], a,
                b.value(ins[0], a, t).astype(wide) * b.value(ins[1], a, t).astype(wide)
                + (b.value(ins[2], a, wide) if op == "mad" else wide(0)),
            )  # fmt: skip
        elif op == "mul" and "hi" in modes:
            bits = 8 * np.dtype(t).itemsize

            def function(x, y):
                product = x.astype(object) * y.astype(object)
                return np.array([(p >> bits) % (1 << bits) for p in product], _UNSIGNED[bits // 8]).view(t)
        elif op in ("fma", "mad"):
            function = _fma if kind.startswith("f") else lambda x, y, z: x * y + z
        elif op in ("max", "min"):
            function = (np.fmax if op == "max" else np.fmin) if kind.startswith("f") else getattr(np, f"{op}imum")
        elif len(ins) == 2:
            function = _BINARY[op]
        else:
            function = _UNARY[op]
        return lambda b, a: b.set(operands[0], a, function(*(b.value(o, a, t) for o in ins)))

    def carrying(self, op, modes, operands, t):
        """Arithmetic of long integers: with the carry of the instruction before, and for the next one."""
        bits, kind, target = 8 * np.dtype(t).itemsize, op.removesuffix("c"), operands[0]

        def run(b, a):
            ins = [np.broadcast_to(b.value(o, a, t), a.shape).astype(object) for o in operands[1:]]
            if kind == "mad":
                product = ins[0] * ins[1]
                ins = [product >> bits if "hi" in modes else product % (1 << bits), ins[2]]
            carry = b.value("carry", a, np.bool_).astype(object) * 1 if op.endswith("c") else 0
            total = ins[0] - ins[1] - carry if kind == "sub" else ins[0] + ins[1] + carry
            b.set(target, a, np.array([v % (1 << bits) for v in total], t))
            if "cc" in modes:
                b.set("carry", a, np.array([not 0 <= v < 1 << bits for v in total]))

        return run

    def comparison(self, modes, operands, t):
        assert len(operands) in (3, 4)
        target, *ins = operands

        def compare(b, a):
            out = _compare(modes[0], b.value(ins[0], a, t), b.value(ins[1], a, t))
            if len(ins) == 3:
                out = _BINARY[modes[1]](out, b.value(ins[2], a, np.bool_))
            if "|" in target:
                raise NotImplementedError
            b.set(target, a, np.broadcast_to(out, a.shape))

        return compare

    def packing(self, operands, t):
        if operands[1].startswith("{"):
            parts = [p.strip() for p in operands[1].strip("{}").split(",")]
            bits = 8 * np.dtype(t).itemsize // len(parts)
            small = _UNSIGNED[bits // 8]

            def pack(b, a):
                total = np.zeros(len(a), t)
                for i, p in enumerate(parts):
                    total |= b.value(p, a, small).astype(t) << t(i * bits)
                b.set(operands[0], a, total)

            return pack
        parts = [p.strip() for p in operands[0].strip("{}").split(",")]
        bits = 8 * np.dtype(t).itemsize // len(parts)

        def unpack(b, a):
            value = b.value(operands[1], a, t)
            for i, p in enumerate(parts):
                b.set(p, a, (value >> t(i * bits)).astype(_UNSIGNED[bits // 8]))

        return unpack

    def atomic(self, op, modes, operands, t):
        name = next(m for m in modes if m in (*_ATOMIC, "cas"))
        target, place, *ins = operands if op == "atom" else ["_", *operands]

        def run(b, a):
            values = [np.broadcast_to(b.value(o, a, t), a.shape) for o in ins]
            if name == "cas":
                change = lambda old, i: values[1][i] if old == values[0][i] else old
            else:
                change = lambda old, i: _ATOMIC[name](old, values[0][i])
            b.set(target, a, b.atomic(b.address(place.strip("[]"), a), a, t, change))

        return run

    def shuffle(self, b, active, mode, operands):
        warps = b.special["tid.x"].astype(np.int64) * 0 + np.arange(b.n) // 32
        for warp in np.unique(warps[active]):
            members = np.flatnonzero((warps == warp) & (b.pc <= len(self.code)))
            if len(np.setdiff1d(members, active)):
                raise Fault("a shuffle that not all threads of a warp come to")
        target, _, holds = operands[0].partition("|")
        value = np.broadcast_to(b.value(operands[1], active, np.uint32), active.shape)
        amount = np.broadcast_to(b.value(operands[2], active, np.uint32), active.shape).astype(np.int64)
        clamp = np.broadcast_to(b.value(operands[3], active, np.uint32), active.shape).astype(np.int64)
        mask = np.broadcast_to(b.value(operands[4], active, np.uint32), active.shape)
        lanes = active % 32
        if not ((mask >> lanes.astype(np.uint32)) & 1).all():
            raise Fault("a shuffle without the thread itself in its mask")
        source = {"bfly": lanes ^ amount, "up": lanes - amount, "down": lanes + amount, "idx": amount & 31}[mode]
        inside = source >= (clamp & 31) if mode == "up" else source <= (clamp & 31)
        source = np.where(inside, source, lanes)
        everyone = np.zeros(b.n, np.uint32)
        everyone[active] = value
        there = active - lanes + source
        if (there >= b.n).any():
            raise Fault("a shuffle from a thread that is not there")
        b.set(target, active, everyone[there])
        if holds:
            b.set(holds, active, inside)

    def target(self, label):
        return lambda: self.labels[label]
