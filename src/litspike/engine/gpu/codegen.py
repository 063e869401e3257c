"""Prints a loop nest in Triton's language, for a GPU: a program instance runs a block of neurons, one to a thread.

A short loop is written out turn by turn, after all that its turns read: so many loads are on their way at once, and
what a neuron holds in each slot stays in registers. A thread that read step by step would wait for memory at each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from litspike.engine.ir.nest import (
    ZERO,
    Element,
    Evaluate,
    Feedback,
    FeedbackGradient,
    Given,
    If,
    Lanes,
    Nest,
    Over,
    Put,
    Read,
    Slot,
    Source,
    Statement,
    Sum,
    Target,
    Total,
    Whole,
    whole,
)
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program

# Triton's default float32 division is approximate.
_TYPES = {
    torch.float32: {
        **{"t": "tl.float32", "i": "tl.int32", "bias": 127, "mantissa": 23, "magic": "12582912.0"},
        **{"divide": "tl.div_rn"},
    },
    torch.float64: {
        **{"t": "tl.float64", "i": "tl.int64", "bias": 1023, "mantissa": 52, "magic": "6755399441055744.0"},
        **{"divide": "tl.fdiv"},
    },
}
_ONE = "one"
"""Name of the number of one neuron that all of its sample read."""
OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{divide}({0}, {1})",
    "neg": "{0} * -1.0",  # Triton's own minus is a subtraction from 0, which gives no −0
    "abs": "tl.abs({0})",
    "floor": "tl.where(({0} < 0) & ({0} > -1), -1.0, tl.floor({0}))",  # Triton's takes subnormals for 0
    "max": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "min": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "power_of_two": "((({0} + {magic}).to({i}, bitcast=True) + {bias}) << {mantissa}).to({t}, bitcast=True)",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "~{0}",
    "float": "{0}.to({t})",
    "select": "tl.where({0}, {1}, {2})",
}
"""How each operation is written; ``{t}`` is the type of reals, ``{i}`` the integer of the same size."""


def module_text(nests: Sequence[Nest], program: Program) -> str:
    """A module with a function for each nest, of its name.

    Its arguments are the nest's, with None for what is missing, and the size of a block. A tile is one sample: a block
    holds all its neurons. These see each other's outputs through ``room``, a number for each of all M neurons.
    """
    lines = ["import triton", "import triton.language as tl"]
    for nest in nests:
        lines += _Function(nest, program).lines
    return "\n".join([*lines, ""])


class _Function:
    def __init__(self, nest: Nest, program: Program) -> None:
        self.program, self.types = program, _TYPES[program.dtype]
        self.lines: list[str] = []
        self.indent = 0
        self.count = 0
        self.turn: dict[str, int] = {}  # the loops' names that stand for a number, in a turn that is written out
        self.mask = "inside"
        self.loaded: dict[str, str] = {}  # what was read ahead, by its place and mask
        self.taken = "True"  # whether the turn that is written out is taken
        annotations = {"integer": ': "i64"', "number": ': "fp64"'}
        fields = [f"{name}{annotations.get(kind, '')}" for name, kind in nest.arguments]
        # One compiled kernel for all sizes: a thread reads single numbers, so that alignment is worth nothing.
        names = [field.split(":")[0] for field in fields]
        options = f"do_not_specialize={names}, do_not_specialize_on_alignment={names}"
        self._put("", "", f"@triton.jit({options})", f"def {nest.name}({', '.join(fields)}, BLOCK: tl.constexpr):")
        self.indent += 1
        self._put("M = tl.cast(M, tl.int64)")
        size, inside = ("N", "lane < N") if nest.tile else ("BLOCK", "rows < M")
        self._put("lane = tl.arange(0, BLOCK)", f"first_row = tl.program_id(0).to(tl.int64) * {size}")
        self._put("rows = first_row + lane", f"inside = {inside}")
        # One value is made a block: Triton's interpreter mistakes single truth values.
        ones = {"number": "{}", "shared": "tl.load({})"}
        self.fixed = {
            name: self._named(f"tl.full((BLOCK,), {ones[kind].format(name)}, {self.types['t']})")
            for name, kind in nest.arguments
            if kind in ones
        }
        for local in nest.locals:  # a name must be there before a loop or a branch writes it
            self._put(f"{self._slot(Slot(local))} = {self._full(ZERO)}")
        self._write(nest.body)

    def _put(self, *lines: str) -> None:
        self.lines += [f"{'    ' * self.indent}{line}" for line in lines]

    def _write(self, body: Sequence[Statement]) -> None:
        short = [statement for statement in body if isinstance(statement, Over) and statement.most is not None]
        masks = {id(loop): self._ahead(loop) for loop in short}
        for statement in body:
            match statement:
                case Over() if statement.most is not None:
                    self._turns(statement, masks[id(statement)])
                case Over():
                    number, count = f"{statement.name}_", self._whole(statement.count)
                    self._put(f"for {number} in range({count}):")
                    turn = f"({count}) - 1 - {number}" if statement.down else number
                    self._nested(statement.body, f"{statement.name} = tl.cast({turn}, tl.int64)")
                case If():
                    self._put(f"if {' & '.join(f'({self._whole(condition)})' for condition in statement.conditions)}:")
                    self._nested(statement.body)
                case Given():
                    self._put(f"if {statement.argument} is not None:")
                    self._nested(statement.body)
                    if statement.otherwise:
                        self._put("else:")
                        self._nested(statement.otherwise)
                case Lanes():
                    for line in statement.body:
                        self._lane(line)
                case _:
                    self._together(statement)

    def _together(self, statement: Statement) -> None:
        """Write what a block's neurons do together."""
        match statement:
            case Feedback():
                self._put("tl.debug_barrier()")  # until nobody reads the outputs of the step before
                self._put(f"tl.store(room + rows, {statement.source.name}, mask=inside)")
                bias = "tl.load(bias + lane, mask=inside, other=0.0)"
                self._product(statement.target.name, bias, "room", f"if {_ONE} != 0: ")
            case FeedbackGradient():
                self._put(f"if {self.taken}:")
                self.indent += 1
                array = f"{statement.source.array} + {self._whole(statement.source.offset or whole(0))}"
                self._product(statement.target.name, self._full(ZERO), array)
                self.indent -= 1
            case Total():
                total = f"tl.sum(tl.where(inside, {statement.local.name}, 0.0).to(tl.float64), 0)"
                self._put(f"tl.store({statement.array} + tl.program_id(0), {total})")

    def _product(self, target: str, start: str, array: str, condition: str = "") -> None:
        """target ← start + Σ_k weight[k] · array[k] over the neurons of the sample, in order, those that qualify."""
        self._put("tl.debug_barrier()")  # until all have written what is read
        self._put(f"{target} = {start}", "for k in range(N):")
        row = "tl.load(weight + k * N + lane, mask=inside, other=0.0)"
        self._put(f"    {_ONE} = tl.load({array} + first_row + k)")
        self._put(f"    {condition}{target} = {target} + {row} * {_ONE}")

    def _ahead(self, loop: Over) -> list[str]:
        """Write what all turns of a loop read, unless it writes it as well; give the mask of each turn."""
        lanes = [statement for statement in loop.body if isinstance(statement, Lanes)]
        lines = [line for each in lanes for line in each.body if isinstance(line, Evaluate)]
        written = {target.array for line in lines for target in line.targets if isinstance(target, Element)}
        read = {leaf: None for line in lines for leaf in line.leaves if isinstance(leaf, Element)}
        masks = []
        for turn in range(loop.most or 0):
            masks.append(self._named(f"inside & (tl.full((BLOCK,), {turn}, tl.int64) < {self._whole(loop.count)})"))
            with self._in_turn(loop.name, turn, masks[-1]):
                for element in read:
                    if element.array not in written:
                        text = self._load(element)
                        self.loaded[text] = self._named(text)
        return masks

    def _turns(self, loop: Over, masks: Sequence[str]) -> None:
        turns = range(len(masks))
        for turn in reversed(turns) if loop.down else turns:
            with self._in_turn(loop.name, turn, masks[turn]):
                self.taken = f"{turn} < {self._whole(loop.count)}"
                self._write(loop.body)
                self.taken = "True"

    @contextmanager
    def _in_turn(self, name: str, turn: int, mask: str) -> Iterator[None]:
        self.turn, self.mask = {name: turn}, mask
        yield
        self.turn, self.mask = {}, "inside"

    def _nested(self, body: Sequence[Statement], *lines: str) -> None:
        self.indent += 1
        self._put(*lines)
        before = self.loaded
        self.loaded = {}
        self._write(body)
        self.loaded = before
        if not lines and not body:
            self._put("pass")
        self.indent -= 1

    def _whole(self, number: Whole) -> str:
        if number.operation in ("name", "number"):
            return str(self.turn.get(str(number.operands[0]), number.operands[0]))
        a, b = (self._whole(operand) for operand in number.operands if isinstance(operand, Whole))
        return f"tl.minimum({a}, {b})" if number.operation == "min" else f"({a} {number.operation} {b})"

    def _lane(self, line: Put | Evaluate) -> None:
        if isinstance(line, Put):
            self._assign(line.target, self._read(line.value))
        else:
            values = self._evaluate(line.results, [self._read(leaf) for leaf in line.leaves])
            for target, value in zip(line.targets, values, strict=True):
                self._assign(target, value)

    def _read(self, source: Read) -> str:
        if isinstance(source, Slot):
            return self._slot(source)
        if isinstance(source, float):
            return self._full(source)
        if isinstance(source, Source) and source.name in self.fixed:
            return self.fixed[source.name]
        text = self._load(source)
        return self.loaded.get(text) or self._named(text)

    def _assign(self, target: Target, value: str) -> None:
        if isinstance(target, Element):
            stored = f"({value}).to({target.array}.dtype.element_ty)"  # in half precision, maybe
            self._put(f"tl.store({self._place(target)}, {stored}, mask={self.mask})")
            return
        name = target.local.name if isinstance(target, Sum) else self._slot(target)
        if isinstance(target, Sum):
            value = f"{name} + {value}"
        # A turn that isn't taken changes nothing; a slot of several is read in turns that are taken alone.
        taken = self.mask != "inside" and target.local.slots == 1
        self._put(f"{name} = tl.where({self.mask}, {value}, {name})" if taken else f"{name} = {value}")

    def _slot(self, slot: Slot) -> str:
        if slot.local.slots == 1:
            return slot.local.name
        return f"{slot.local.name}_{self._constant(slot.at)}"

    def _constant(self, number: Whole) -> int:
        """The number that a slot has in a turn that is written out."""
        if number.operation == "+":
            return sum(self._constant(operand) for operand in number.operands if isinstance(operand, Whole))
        (name,) = number.operands
        return name if isinstance(name, int) else self.turn[str(name)]

    def _load(self, source: Element | Source) -> str:
        place = f"{source.name} + rows" if isinstance(source, Source) else self._place(source)
        return f"tl.load({place}, mask={self.mask}, other=0.0).to({self.types['t']})"

    def _place(self, place: Element) -> str:
        return (
            f"{place.array} + rows" if place.offset is None else f"{place.array} + {self._whole(place.offset)} + rows"
        )

    def _full(self, number: float | str) -> str:
        return f"tl.full((BLOCK,), {number}, {self.types['t']})"

    def _named(self, text: str) -> str:
        self.count += 1
        self._put(f"v{self.count} = {text}")
        return f"v{self.count}"

    def _evaluate(self, results: Sequence[Value], leaves: Sequence[str]) -> list[str]:
        """Write the operations that the results need, once, and give the results' names."""
        names: dict[Value, str] = dict(enumerate(leaves))
        for value in self.program.needed(results):
            node = self.program.nodes[value]
            operands = [names[operand] for operand in node.operands]
            if node.operation == "literal":  # a bare number would be rounded by Triton's rules instead of torch's
                names[value] = self._named(self._full(_number(node.literal)))
            elif node.operation != "leaf":
                names[value] = self._named(OPERATIONS[node.operation].format(*operands, **self.types))
        # A state may be given back as it is, so what is new goes by a name that is not the old one's.
        return [self._named(names[result]) for result in results]


def _number(literal: str) -> str:
    number = float.fromhex(literal)
    return repr(number) if abs(number) < float("inf") else f'float("{number}")'
