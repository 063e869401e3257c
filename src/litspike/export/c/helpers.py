"""The functions of an exported C file that don't depend on the network; each is printed where it is used."""

from __future__ import annotations

from collections.abc import Sequence

_PRODUCT = """\
/* y = bias + the columns of the weight of what is not zero in x, in the order of its index. */
static void product(const WEIGHT *restrict weight, const SUM *restrict bias, const NUMBER *restrict x,
                    SUM *restrict y, size_t inputs, size_t outputs)
{
    size_t i, o;
    for (o = 0; o < outputs; o++) {
        y[o] = bias ? bias[o] : ZERO;
    }
    for (i = 0; i < inputs; i++, weight += outputs) {
        const NUMBER value = x[i];
        if (value == ZERO) {
            continue; /* no event, no work */
        }
        if (value == ONE) {
            for (o = 0; o < outputs; o++) {
                y[o] += weight[o];
            }
        } else {
            for (o = 0; o < outputs; o++) {
                y[o] += value * weight[o];
            }
        }
    }
}
"""

_CONVOLUTION = """\
typedef struct {
    long channels, height, width, outputs, rows, columns, kernel_rows, kernel_columns;
    long stride_rows, stride_columns, padding_rows, padding_columns, dilation_rows, dilation_columns, groups;
} convolution_shape;

/* The product of each window, of what is not zero in x; sums has room for the outputs of each place together. */
static void convolution(const convolution_shape *shape, const WEIGHT *restrict weight, const SUM *restrict bias,
                        const NUMBER *restrict x, SUM *restrict sumsRESULT)
{
    const convolution_shape s = *shape;
    const long places = s.rows * s.columns, inputs = s.channels / s.groups, outputs = s.outputs / s.groups;
    long channel, row, column, i, j, place, o;
    for (place = 0; place < places; place++) {
        for (o = 0; o < s.outputs; o++) {
            sums[place * s.outputs + o] = bias ? bias[o] : ZERO;
        }
    }
    for (channel = 0; channel < s.channels; channel++) {
        for (row = 0; row < s.height; row++) {
            for (column = 0; column < s.width; column++, x++) {
                const NUMBER value = *x;
                if (value == ZERO) {
                    continue; /* no event, no work */
                }
                for (i = 0; i < s.kernel_rows; i++) {
                    const long down = row + s.padding_rows - i * s.dilation_rows;
                    if (down < 0 || down % s.stride_rows != 0 || down / s.stride_rows >= s.rows) {
                        continue;
                    }
                    for (j = 0; j < s.kernel_columns; j++) {
                        const long right = column + s.padding_columns - j * s.dilation_columns;
                        const WEIGHT *from;
                        SUM *to;
                        if (right < 0 || right % s.stride_columns != 0 || right / s.stride_columns >= s.columns) {
                            continue;
                        }
                        from = weight + ((channel * s.kernel_rows + i) * s.kernel_columns + j) * outputs;
                        to = sums + (down / s.stride_rows * s.columns + right / s.stride_columns) * s.outputs
                             + channel / inputs * outputs;
                        if (value == ONE) {
                            for (o = 0; o < outputs; o++) {
                                to[o] += from[o];
                            }
                        } else {
                            for (o = 0; o < outputs; o++) {
                                to[o] += value * from[o];
                            }
                        }
                    }
                }
            }
        }
    }
TAIL}
"""

_TAIL = """\
    for (o = 0; o < s.outputs; o++) {
        for (place = 0; place < places; place++) {
            *y++ = sums[place * s.outputs + o];
        }
    }
"""
_FLOATS = {"WEIGHT": "float", "SUM": "float", "NUMBER": "float", "ZERO": "0.0f", "ONE": "1.0f"}
_INTEGERS = {"WEIGHT": "int8_t", "SUM": "int32_t", "ZERO": "0", "ONE": "1", "TAIL": "", "RESULT": "",
             "value * ": "(int32_t)value * "}  # fmt: skip  # where an int has 16 bits too


def _typed(text: str, types: dict[str, str]) -> str:
    for name, kind in types.items():
        text = text.replace(name, kind)
    return text


PRODUCT = _typed(_PRODUCT, _FLOATS)
CONVOLUTION = _typed(_CONVOLUTION, {**_FLOATS, "TAIL": _TAIL, "RESULT": ", float *restrict y"})


def integer_product(number: str) -> str:
    """:data:`PRODUCT` of small integers, for an input of a type."""
    return _typed(_PRODUCT, {**_INTEGERS, "NUMBER": number})


def integer_convolution(number: str) -> str:
    """:data:`CONVOLUTION` of small integers up to the sums, for an input of a type."""
    return _typed(_CONVOLUTION, {**_INTEGERS, "NUMBER": number})


WINDOW = """\
/* Where a window of a pooling begins and ends, and what an average divides by. */
typedef struct {
    long begin, end, size;
} pool_window;

/* An image of channels, and the windows of its rows and columns. */
typedef struct {
    long channels, height, width, rows, columns, step_rows, step_columns;
} pool_shape;
"""


def _pooling(name: str, number: str, begin: str, take: Sequence[str], result: str, more: str = "") -> str:
    lines = "\n".join(" " * 24 + line for line in take)
    return f"""\
static void {name}(const pool_shape *shape, const pool_window *rows, const pool_window *columns,
                    const {number} *restrict x, {number} *restrict y{more})
{{
    const pool_shape s = *shape;
    long channel, row, column, i, j;
    for (channel = 0; channel < s.channels; channel++, x += s.height * s.width) {{
        for (row = 0; row < s.rows; row++) {{
            for (column = 0; column < s.columns; column++) {{
                {begin}
                for (i = rows[row].begin; i < rows[row].end; i += s.step_rows) {{
                    for (j = columns[column].begin; j < columns[column].end; j += s.step_columns) {{
{lines}
                    }}
                }}
                *y++ = {result};
            }}
        }}
    }}
}}
"""


_GREATEST = (
    "const float value = x[i * s.width + j];",
    "if (value > most || value != value) {",
    "    most = value;",
    "}",
)
_SUM = ("sum += x[i * s.width + j];",)
_SIZE = "(rows[row].size * columns[column].size)"
MAXIMUM = _pooling("maximum", "float", "float most = -INFINITY;", _GREATEST, "most")
AVERAGE = _pooling("average", "float", "float sum = 0.0f;", _SUM, f"sum / (float){_SIZE}")


def integer_maximum(number: str) -> str:
    """:data:`MAXIMUM` of integers of a type."""
    take = (f"const {number} value = x[i * s.width + j];", "most = value > most ? value : most;")
    return _pooling("maximum", number, f"{number} most = {number.upper().removesuffix('_T')}_MIN;", take, "most")


def integer_average(number: str) -> str:
    """:data:`AVERAGE` of integers of a type, with further binary places, rounded towards zero."""
    return _pooling("average", number, "int64_t sum = 0;", _SUM, f"({number})(sum * unit / {_SIZE})", ", int32_t unit")
