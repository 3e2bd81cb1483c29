"""Every error that a mistake of the user can raise.

Each class is also the exception NumPy or Python would raise in that place (`TypeError`, `ValueError`, `IndexError`),
so that existing handlers keep working. `docs/errors.md` shows each with its remedy.
"""


class FunctransError(Exception):
    """Base class of all errors of functrans."""


class ShapeError(FunctransError, ValueError):
    """Shapes of operands do not fit together, or an axis does not exist."""


class AxisError(ShapeError, IndexError):
    """An axis that the array does not have (NumPy's AxisError)."""


class DTypeError(FunctransError, TypeError):
    """An operand has a dtype (or is of a type) that the function does not take."""


class IndexOutOfBoundsError(FunctransError, IndexError):
    """An index lies outside its axis, as in NumPy; raised by compiled code too."""


class IndexTypeError(DTypeError, IndexError):
    """An index that is neither an integer nor a slice, an ellipsis, None, or an integer or boolean array."""


class ConcretizationError(FunctransError, TypeError):
    """Python needs the value of an array that is only traced: it has a shape and a dtype, but no value yet."""


class TracerBoolConversionError(ConcretizationError):
    """`if`, `while`, `and`, `or` or `bool()` on a traced array."""


class TracerIntegerConversionError(ConcretizationError):
    """A traced array used where Python needs an integer: `range`, a shape, an index into a list."""


class TracerArrayConversionError(ConcretizationError):
    """A traced array given to code that needs a NumPy array, as `np.array` and `math.sin` do."""


class NonConcreteBooleanIndexError(ConcretizationError, IndexError):
    """A boolean mask without a value as an index: the shape of the result would depend on it."""


class TracerItemAssignmentError(FunctransError, TypeError):
    """`x[i] = v` where `x` or `v` is a traced array; arrays under a transformation are immutable."""


class UnhashableTracerError(FunctransError, TypeError):
    """A traced array as a key of a dict, an element of a set, or an argument of a cached function."""


class UnexpectedTracerError(FunctransError, RuntimeError):
    """A traced array used after the transformation that made it has returned (a leaked tracer)."""


class NotDifferentiableError(FunctransError, TypeError):
    """A derivative was asked for that does not exist, or in a mode that the operation does not support."""


class NonScalarGradError(NotDifferentiableError):
    """`grad` of a function whose result is not a scalar."""


class IntegerGradError(NotDifferentiableError):
    """`grad` with respect to an integer or boolean argument."""


class CheckError(FunctransError, ValueError):
    """A check of `functrans.checking` failed: one by `check`, or one that `checkify` added."""


class NonFiniteError(FunctransError, FloatingPointError):
    """NaN or an infinity among the results of an operation, under `config.debug_nans` or `config.debug_infs`."""


class NoSuchAttributeError(FunctransError, AttributeError):
    """A method or property that arrays, or places of arrays (`x.at[i]`), do not have."""


class FrozenModuleError(FunctransError, AttributeError):
    """An attribute of a module of `functrans.nn` assigned or deleted after `__init__`: modules are immutable."""


class KeyReuseError(FunctransError, ValueError):
    """A random key used a second time, under `config.debug_key_reuse`."""


class ArgumentError(FunctransError, ValueError):
    """A transformation was called with arguments that contradict each other or the function."""


class StaticArgumentError(ArgumentError, TypeError):
    """A static argument of `jit` that cannot be hashed."""


class KeywordError(ArgumentError, TypeError):
    """A function was called with arguments that are not those of its signature."""


class AxesError(ArgumentError):
    """`in_axes`, `out_axes` or mapped sizes that do not fit the arguments of `vmap`."""


class AxisNameError(FunctransError, NameError):
    """A collective over an axis name that no enclosing `vmap` binds."""


class TreeStructureError(FunctransError, ValueError):
    """Two pytrees that must have one structure do not."""


class FileFormatError(FunctransError, ValueError):
    """A file that cannot be read: damaged, or of another format."""


class DeviceError(FunctransError, RuntimeError):
    """There is no such device, or what is needed to use it is not installed."""


class MixedDevicesError(DeviceError, ValueError):
    """Operands of one operation lie on different devices."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has not enough memory for an operation."""


class JaxprError(FunctransError, AssertionError):
    """An ill-formed jaxpr: a bug of a transformation or of a primitive's rule, not of the user."""


# Names of `jax.errors`, for handlers of programs written for JAX. Its bases stand for all that is raised here.
ConcretizationTypeError = ConcretizationError
JAXTypeError = JAXIndexError = JaxRuntimeError = FunctransError
JaxprTypeError = JaxprError
