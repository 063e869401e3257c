"""The C file of a network in integers: what differs from that in floating point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from litspike.export.c import helpers
from litspike.export.c.memory import Memory, memory_of
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, Product
from litspike.export.c.printing import Tables, element, loop
from litspike.export.c.sample import SampleWriter
from litspike.export.c.step import StepWriter, states_of
from litspike.export.c.text import Network, Source
from litspike.export.integer.fixed import Fixed
from litspike.export.integer.lower import Step
from litspike.export.integer.plan import Plan, Weights
from litspike.export.integer.printing import functions_of, statements
from litspike.export.integer.twin import change_of, least_integers, rest_of


class IntegerStep(StepWriter):
    """Writes the functions of one step in integers."""

    def __init__(self, plan: Plan, name: str, tables: Tables) -> None:
        self.plan, self.number = plan, f"int{plan.settings.states}_t"
        super().__init__(name, plan.operations, plan.output, plan.readout.size, tables)

    def _memory(self) -> Memory:
        return memory_of(self.operations, self.output, self.held, lambda _: 0)

    def type_of(self, member: str) -> str:
        return "int32_t" if member == "sums" else self.number

    def members(self) -> Iterator[tuple[str, int]]:
        yield from super().members()
        summed = [operation.size for operation in self.operations if operation.output in self.plan.weights]
        if summed:
            yield "sums", max(summed)

    def at_rest(self, title: str, neurons: Neurons) -> list[str]:
        lines = []
        forms = self._step_of(title, neurons).formats[1:]
        for state, rest, form in zip(states_of(neurons), neurons.rest, forms, strict=True):
            integers = rest_of(rest, form)
            value = (
                str(int(integers)) if integers.dim() == 0 else f"{self._table(f'{title}_{state}_rest', integers)}[i]"
            )
            lines.append(f"n->{title}_{state}[i] = {value};")
        lines += [f"n->{title}_last[i] = 0;"] if neurons.recurrent else []
        return loop(neurons.size, lines)

    def _step_of(self, title: str, neurons: Neurons) -> Step:
        return self.plan.inside[title] if title in self.plan.inside else self.plan.steps[neurons.output]

    def _table(self, name: str, integers: Tensor) -> str:
        return self.tables.add_integers(name, integers, self.plan.settings.states)

    def tables_of(self, title: str, step: Step, index: str) -> list[str]:
        """A step's constants that each neuron has its own of, in C."""
        return [f"{self._table(f'{title}_constant{number}', table)}[{index}]"
                for number, table in enumerate(step.tables)]  # fmt: skip

    def _operation(self, operation: Operation) -> list[str]:
        title, x, y = self._titles[operation.output], self._place(operation.inputs[0]), self._place(operation.output)
        match operation:
            case Product():
                scaled = self._scaled_sum(title, operation, "i", "n->sums[i]")
                scaling = loop(operation.size, [f"({y})[i] = ({self.number}){scaled};"])
                return [self._sums(title, x, operation), *scaling]
            case Convolution():
                return self._convolution(operation, title, x, y)
            case Pooling() | Neurons():
                return super()._operation(operation)
        inputs = [element(self._place(number)) for number in operation.inputs]
        step = self.plan.steps[operation.output]
        leaves = [*inputs, *self.tables_of(title, step, "i")]
        return loop(operation.size, statements(step, leaves, [f"({y})[i]"], self.number))

    def _sums(self, title: str, x: str, operation: Operation) -> str:
        weights = self.plan.weights[operation.output]
        outputs, inputs = weights.integers.shape
        table = self.tables.add_integers(f"{title}_weight", weights.integers.T, 8)
        return f"product({table}, {self._constants(title, weights)}, {x}, n->sums, {inputs}, {outputs});"

    def _constants(self, title: str, weights: Weights) -> str:
        """Write what sums are scaled by, and the bias, which is what they begin with."""
        self.tables.add_integers(f"{title}_shift", weights.shift, 8)
        if weights.multiplier is not None:
            self.tables.add_integers(f"{title}_multiplier", weights.multiplier, 32)
        return "NULL" if weights.bias is None else self.tables.add_integers(f"{title}_bias", weights.bias, 32)

    def _scaled_sum(self, title: str, operation: Operation, channel: str, sums: str) -> str:
        weights = self.plan.weights[operation.output]
        multiplier = "" if weights.multiplier is None else f"(int64_t){title}_multiplier[{channel}] * "
        result = weights.result
        return f"limited(shifted({multiplier}{sums}, {title}_shift[{channel}]), {result.low}, {result.high})"

    def _convolution(self, operation: Convolution, title: str, x: str, y: str) -> list[str]:
        weights = self.plan.weights[operation.output]
        grouped = weights.integers.view(operation.groups, -1, *weights.integers.shape[1:]).permute(0, 2, 3, 4, 1)
        table = self.tables.add_integers(f"{title}_weight", grouped, 8)
        self._shape_of(operation, title)
        outputs, places = len(weights.integers), operation.image[0] * operation.image[1]
        scaled = self._scaled_sum(title, operation, "i", f"n->sums[j * {outputs} + i]")
        return [
            f"convolution(&{title}_shape, {table}, {self._constants(title, weights)}, {x}, n->sums);",
            *loop(
                outputs,
                [
                    f"for (j = 0; j < {places}; j++) {{",
                    f"    ({y})[i * {places} + j] = ({self.number}){scaled};",
                    "}",
                ],
            ),
        ]

    def _averaged(self, operation: Pooling) -> str:
        """What an average takes beside a maximum: what its sum is multiplied by, for further binary places."""
        formats = self.plan.formats
        places = formats[operation.output].fraction - formats[operation.inputs[0]].fraction
        return f", {1 << places}"

    def _neurons(self, operation: Neurons, title: str, x: str, y: str) -> list[str]:
        lines, inputs = [], [element(x)]
        if operation.recurrent:
            feedback = f"{title}_feedback"
            lines.append(self._sums(feedback, y, operation))
            inputs.append(self._scaled_sum(feedback, operation, "i", "n->sums[i]"))
        lines += loop(operation.size, self._element(operation, title, inputs, f"({y})[i]"))
        if operation.number:
            lines.append(f"{self.name.upper()}_WATCH({operation.number}, {y}, (size_t){operation.size});")
        return lines

    def step_lines(self, operation: Neurons, title: str, x: str, y: str) -> list[str]:
        return self._element(operation, title, [x], y)

    def _element(self, operation: Neurons, title: str, inputs: list[str], y: str) -> list[str]:
        step = self._step_of(title, operation)
        states = [f"n->{title}_{state}[i]" for state in states_of(operation)]
        leaves = [*inputs, *states, *self.tables_of(title, step, "i")]
        return statements(step, leaves, [y, *states], self.number)


class IntegerSample(SampleWriter):
    """Writes the function that runs a sample in integers."""

    value = "int32_t"
    zero = "0"
    one = "1"

    def __init__(self, step: IntegerStep, plan: Plan, tables: Tables) -> None:
        super().__init__(step, plan.encoder, plan.readout, tables)
        self.plan, self.number, self.writer = plan, step.number, step

    def _fields(self, now: str, coded: str, count: int) -> list[str]:
        step = self.plan.inside["encoder"]
        leaves = [element(now), *self.writer.tables_of("encoder", step, "j")]
        return statements(step, leaves, [f"{coded}[i * {count} + j]"], self.number)

    def _latency(self, coded: str) -> list[str]:
        least = self.tables.add_integers("encoder_least", least_integers(self.encoder.least(), self.plan.coded), 32)
        bound = f"(t == 0 || x < {least}[t - 1])"
        return [f"const int32_t x = {element(coded)};", f"n->input[i] = x >= {least}[t] && {bound};"]

    def _delta(self, coded: str) -> list[str]:
        threshold = change_of(self.encoder.threshold, self.plan.coded)
        return [
            f"const int64_t change = t == 0 ? 0 : (int64_t){element(coded)} - n->before[i];",
            f"n->input[i] = t > 0 && change > INT64_C({threshold});",
            f"n->input[{self.encoder.coded} + i] = t > 0 && change < -INT64_C({threshold});",
            f"n->before[i] = {element(coded)};",
        ]

    def _taken(self) -> list[str]:
        match self.readout.kind:
            case "mean" if self.encoder.steps is None:
                return ["values[i] = limited((int64_t)values[i] + n->output[i], -INT32_MAX, INT32_MAX);"]
            case "mean":
                return ["values[i] += n->output[i];"]
            case "max":
                return ["values[i] = t > 0 && values[i] > n->output[i] ? values[i] : n->output[i];"]
            case "first":
                return [
                    f"n->alive[i] = ({self.number})(n->alive[i] * (1 - n->output[i]));",
                    "values[i] += n->alive[i];",
                ]
        return super()._taken()

    def _finish(self, steps: str) -> list[str]:
        return []  # what an integer stands for is said in the header


class IntegerSource(Source):
    """The text of a network in integers."""

    headers = ("stddef.h", "stdint.h")

    def __init__(self, plan: Plan, name: str, head: Sequence[str]) -> None:
        self.plan, self.number = plan, f"int{plan.settings.states}_t"  # type: ignore[misc]  # one for each file
        super().__init__(Network(plan.operations, plan.output, plan.encoder, plan.readout), name, head)

    def _step_writer(self) -> StepWriter:
        return IntegerStep(self.plan, self.name, self.tables)

    def _sample_writer(self) -> SampleWriter:
        assert isinstance(self.step, IntegerStep)
        return IntegerSample(self.step, self.plan, self.tables)

    def _definitions(self) -> Sequence[str]:
        plan, upper = self.plan, self.name.upper()
        steps = plan.encoder.steps
        unit = plan.value_unit(steps or 1).hex()
        divided = ", divided by the steps" if plan.readout.kind == "mean" and steps is None else ""
        lines = [
            "",
            "/* Numbers are integers: x stands as floor(x * 2^FRACTION + 0.5), within the bounds. */",
            *_meaning(f"{upper}_SAMPLE", plan.sample, "of a sample"),
            *_meaning(f"{upper}_INPUT", plan.formats[0], "of the network's input"),
            *_meaning(f"{upper}_OUTPUT", plan.formats[plan.output], "of what the network puts out"),
            f"#define {upper}_VALUE_UNIT {unit} /* what 1 in an answer stands for{divided} */",
        ]
        if plan.readout.scale is not None:
            mean, deviation = (float(values[0]).hex() for values in plan.readout.scale)
            lines += [
                f"#define {upper}_TARGET_MEAN {mean} /* an answer times DEVIATION plus MEAN is in the targets' unit */",
                f"#define {upper}_TARGET_DEVIATION {deviation}",
            ]
        return lines

    def _needs(self) -> str:
        return "/* Integers alone, and nothing of a library. */"

    def _functions_of_layers(self) -> tuple[str, str, str, str]:
        number = self.number
        return (
            helpers.integer_product(number), helpers.integer_convolution(number),
            helpers.integer_maximum(number), helpers.integer_average(number),
        )  # fmt: skip

    def _functions_of_steps(self) -> str:
        return functions_of([*self.plan.steps.values(), *self.plan.inside.values()])


def _meaning(name: str, form: Fixed, about: str) -> list[str]:
    return [
        f"#define {name}_FRACTION {form.fraction} /* binary places {about} */",
        f"#define {name}_LEAST ({form.low})",
        f"#define {name}_GREATEST {form.high}",
    ]
