"""One step of a network as C functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import Tensor

from litspike.export.c.lower import constant_names
from litspike.export.c.memory import Memory, memory_of, still
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, Product, Scale, Sum, Windows
from litspike.export.c.printing import Tables, element, function, loop, number, statements


class StepWriter:
    """Writes the functions of one step.

    Args:
        name: of the network.
        operations: in the order of their use.
        output: number of the tensor that comes out.
        outputs: its size.
        tables: where constants go.
    """

    number: str = "float"
    """Type of the numbers of the input, of the output, and of what is kept."""

    def __init__(self, name: str, operations: Sequence[Operation], output: int, outputs: int, tables: Tables) -> None:
        self.name, self.operations, self.output, self.outputs, self.tables = name, operations, output, outputs, tables
        self.held = still(operations)
        self.memory = self._memory()
        self._titles: dict[int, str] = {}
        self._title_operations()

    def _memory(self) -> Memory:
        return memory_of(self.operations, self.output, self.held)

    def _title_operations(self) -> None:
        """A name in C for each operation."""
        for operation in self.operations:
            if isinstance(operation, Neurons) and operation.number:
                title = f"layer{operation.number}"
            else:
                title = re.sub(r"\W", "_", operation.name or "sum", flags=re.ASCII)
                title = title if title[0].isalpha() else f"at_{title}"
            if title in self._titles.values():
                title = f"{title}_{operation.output}"
            self._titles[operation.output] = title

    @property
    def has_head(self) -> bool:
        """Whether anything stands before the first layer of neurons: ``take_in`` does it."""
        return self.held > 0

    def type_of(self, member: str) -> str:
        """Type of the numbers in an array of the struct."""
        return self.number

    def members(self) -> Iterator[tuple[str, int]]:
        """Name and size of each array of the struct."""
        for title, neurons in self._neurons_of_all():
            yield from ((f"{title}_{state}", neurons.size) for state in states_of(neurons))
            if neurons.recurrent:
                yield f"{title}_last", neurons.size
        if self.memory.size:
            yield "work", self.memory.size

    def _neurons_of_all(self) -> Iterator[tuple[str, Neurons]]:
        for operation in self.operations:
            if isinstance(operation, Neurons):
                yield self._titles[operation.output], operation

    def reset(self) -> list[str]:
        """Lines that put every layer of neurons to rest."""
        return [line for title, neurons in self._neurons_of_all() for line in self.at_rest(title, neurons)]

    def at_rest(self, title: str, neurons: Neurons) -> list[str]:
        """Lines that put a layer of neurons to rest."""
        lines = []
        for state, rest in zip(states_of(neurons), neurons.rest, strict=True):
            table = f"{title}_{state}_rest"
            value = f"{self.tables.add(table, rest)}[i]" if isinstance(rest, Tensor) else number(rest)
            lines.append(f"n->{title}_{state}[i] = {value};")
        lines += [f"n->{title}_last[i] = 0.0f;"] if neurons.recurrent else []
        return loop(neurons.size, lines)

    def functions(self) -> list[str]:
        """``take_in``, ``advance`` and the step that is both."""
        before, after = self.operations[: self.held], self.operations[self.held :]
        head = self._steps("take_in", before, "/* What stands before the first layer of neurons. */")
        call = ["take_in(n, input);"] if self.has_head else []
        signature = f"void {self.name}_step({self.name} *n, const {self.number} *input, {self.number} *output)"
        return [
            *([head] if self.has_head else []),
            self._steps("advance", after, "/* One step from there on. */", output=True),
            function(signature, [*call, "advance(n, input, output);"]),
        ]

    def _steps(self, name: str, operations: Sequence[Operation], about: str, output: bool = False) -> str:
        lines: list[str] = []
        for operation in operations:
            lines += [f"/* {operation.about} */", *self._operation(operation)]
        arguments = f"{self.name} *n, const {self.number} *input"
        if output:
            arguments += f", {self.number} *output"
            result = self._place(self.output)
            lines += loop(self.outputs, [f"output[i] = {element(result)};"])
            lines.append(f"{self.name.upper()}_WATCH(0, output, (size_t){self.outputs});")
        text = "\n".join(lines)
        names = ", ".join(name for name in "ij" if f"({name} = 0;" in text)
        head = [f"size_t {names};"] if names else []
        unused = ["(void)input;"] if not re.search(r"\binput\b", text) else []
        return f"{about}\n" + function(f"static void {name}({arguments})", [*head, *unused, *lines])

    def _place(self, tensor: int) -> str:
        """What a tensor is in C."""
        if tensor == 0:
            return "input"
        if tensor in self.memory.places:
            return f"n->work + {self.memory.places[tensor]}"
        return f"n->{self._titles[tensor]}_last"

    def _operation(self, operation: Operation) -> list[str]:
        title, x = self._titles[operation.output], self._place(operation.inputs[0])
        y = self._place(operation.output)
        match operation:
            case Product():
                return [self._product(title, operation.weight, operation.bias, x, y)]
            case Convolution():
                return self._convolution(operation, title, x, y)
            case Pooling():
                return self._pooling(operation, title, x, y)
            case Scale():
                size = operation.size // len(operation.factor)
                factor = self.tables.add(f"{title}_factor", operation.factor.float())
                offset = self.tables.add(f"{title}_offset", operation.offset.float())
                line = f"({y})[i] = {element(x)} * {factor}[i / {size}] + {offset}[i / {size}];"
                return loop(operation.size, [line])
            case Sum():
                other = self._place(operation.inputs[1])
                return loop(operation.size, [f"({y})[i] = {element(x)} + {element(other)};"])
            case Neurons():
                return self._neurons(operation, title, x, y)
        raise TypeError(type(operation).__name__)

    def _product(self, title: str, weight: Tensor, bias: Tensor | None, x: str, y: str) -> str:
        outputs, inputs = weight.shape
        table = self.tables.add(f"{title}_weight", weight.T)
        start = "NULL" if bias is None else self.tables.add(f"{title}_bias", bias)
        return f"product({table}, {start}, {x}, {y}, {inputs}, {outputs});"

    def _convolution(self, operation: Convolution, title: str, x: str, y: str) -> list[str]:
        weight = operation.weight  # [O, C / groups, rows, columns], each group's outputs beside its channels
        grouped = weight.view(operation.groups, -1, *weight.shape[1:]).permute(0, 2, 3, 4, 1)
        table = self.tables.add(f"{title}_weight", grouped)
        start = "NULL" if operation.bias is None else self.tables.add(f"{title}_bias", operation.bias)
        self._shape_of(operation, title)
        room = f"n->work + {self.memory.room[operation.output]}"
        return [f"convolution(&{title}_shape, {table}, {start}, {x}, {room}, {y});"]

    def _shape_of(self, operation: Convolution, title: str) -> None:
        """Write the sizes of a convolution."""
        numbers = (
            *(*operation.source, len(operation.weight), *operation.image, *operation.weight.shape[2:]),
            *(*operation.stride, *operation.padding, *operation.dilation, operation.groups),
        )
        text = ", ".join(map(str, numbers))
        self.tables.append(f"static const convolution_shape {title}_shape = {{{text}}};\n")

    def _averaged(self, operation: Pooling) -> str:
        """What an average takes beside what a maximum does."""
        return ""

    def _pooling(self, operation: Pooling, title: str, x: str, y: str) -> list[str]:
        rows, columns = operation.rows, operation.columns
        for name, axis in (("rows", rows), ("columns", columns)):
            self.tables.append(_windows(f"{title}_{name}", axis))
        numbers = (*operation.source, len(rows.begins), len(columns.begins), rows.step, columns.step)
        self.tables.append(f"static const pool_shape {title}_shape = {{{', '.join(map(str, numbers))}}};\n")
        function = "maximum" if operation.maximum else "average"
        more = "" if operation.maximum else self._averaged(operation)
        return [f"{function}(&{title}_shape, {title}_rows, {title}_columns, {x}, {y}{more});"]

    def _neurons(self, operation: Neurons, title: str, x: str, y: str) -> list[str]:
        lines = []
        if operation.weight is not None:
            room = f"n->work + {self.memory.room[operation.output]}"
            lines.append(self._product(f"{title}_feedback", operation.weight, operation.bias, y, room))
            lines += loop(operation.size, [f"({room})[i] += {element(x)};"])
            x = room
        lines += loop(operation.size, self.step_lines(operation, title, element(x), f"({y})[i]"))
        if operation.number:
            lines.append(f"{self.name.upper()}_WATCH({operation.number}, {y}, (size_t){operation.size});")
        return lines

    def step_lines(self, operation: Neurons, title: str, x: str, y: str) -> list[str]:
        """The operations of one element of a layer of neurons."""
        states = [f"n->{title}_{state}[i]" for state in states_of(operation)]
        names = [] if operation.layer is None else constant_names(operation.layer, len(operation.constants))
        constants = []
        for name, value in zip(names, operation.constants, strict=True):
            if isinstance(value, Tensor):
                constants.append(f"{self.tables.add(f'{title}_{name}', value)}[i]")
            else:
                constants.append(number(value))
        return statements(operation.program, [x, *states, *constants], [y, *states])


def states_of(neurons: Neurons) -> list[str]:
    """Names of the states in C."""
    return [state if state.isascii() else f"state{index}" for index, state in enumerate(neurons.states)]


def _windows(name: str, axis: Windows) -> str:
    entries = ", ".join(
        f"{{{begin}, {end}, {size}}}" for begin, end, size in zip(axis.begins, axis.ends, axis.sizes, strict=True)
    )
    return f"static const pool_window {name}[{len(axis.begins)}] = {{{entries}}};\n"
