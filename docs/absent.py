"""Why a function of another library is not here, by its module; `function_tables.py` shows it."""

PRIMITIVES = "JAX's primitives (ours: [How functrans is built](../architecture.md))"

_SMALL = "dtypes of accelerators, of 8 bits and fewer"
_OLD = "names that NumPy 2 has removed"
_CHOICES = "choices among XLA's algorithms; one is taken here"
_DEVICES = "arrays spread over several devices"

ABSENT: dict[str, dict[str, str]] = {
    "numpy": {
        "strings, bytes, records and objects, which have no arithmetic": "bytes_ fromregex recarray record str_ void",
        "dates": "busday_count busday_offset busdaycalendar datetime64 datetime_as_string datetime_data is_busday "
        "isnat timedelta64",
        "floats of 80 and 128 bits, which kernels do not compute in": "clongdouble complex192 complex256 float96 "
        "float128 longdouble",
        "classes that NumPy itself advises against": "asmatrix bmat matrix poly1d",
        "arrays whose values change in place, and iterators over these": "flatiter memmap nditer nested_iters",
        "about NumPy, its buffers and its handling of errors": "get_include getbufsize geterrcall info little_endian "
        "sctypeDict setbufsize seterrcall show_config show_runtime test",
        _OLD: "in1d row_stack trapz",
    },
    "jax.numpy": {
        _SMALL: "float4_e2m1fn float6_e2m3fn float6_e3m2fn float8_e3m4 float8_e4m3 float8_e4m3b11fnuz float8_e4m3fn "
        "float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int4 uint1 uint2 uint4",
        _OLD: "ComplexWarning complex_ float_",
    },
    "jax.lax": {
        _CHOICES: "AccuracyMode DotAlgorithm DotAlgorithmPreset Tolerance",
        "names for type annotations": "ConvGeneralDilatedDimensionNumbers DotDimensionNumbers PrecisionLike",
        _DEVICES: "pcast precv psend ragged_all_to_all with_sharding_constraint",
        "orders effects by hand; effects keep the order in which they were traced": "after_all create_token dce_sink "
        "stage",
        "helpers of shape inference; `eval_shape` gives the shape of any function": "conv_general_permutations "
        "conv_general_shape_tuple conv_shape_tuple conv_transpose_shape_tuple reduce_window_shape_tuple",
        "products of groups along other axes than `ragged_dot`'s": "RaggedDotDimensionNumbers ragged_dot_general",
        "products of numbers of 8 bits and fewer": "scaled_dot",
        "hidden state: draw with a key, by `functrans.random.uniform`": "rng_uniform",
    },
    "jax.lax.linalg": {
        _CHOICES: "EigImplementation EighImplementation SvdAlgorithm",
        "`functrans.scipy.linalg.polar` gives these factors": "qdwh",
    },
    "jax.nn": {
        "products of numbers of 8 bits and fewer": "get_scaled_dot_general_config scaled_dot_general scaled_matmul",
    },
    "jax.random": {
        "keys are arrays of uint32, of the one kind Threefry": "key_dtype",
    },
}
