"""The residual spiking network whose shortcuts add spikes."""

from __future__ import annotations

from torch import Tensor, nn

from litspike.arguments import typed
from litspike.networks.convolutional import convolution
from litspike.networks.sequence import Pass, SpikingNetwork, SpikingSequential
from litspike.networks.shapes import sample_shape, widths
from litspike.neurons import NeuronLayer
from litspike.settings import SettingError, integer


class SEWBlock(SpikingNetwork):
    r"""Spike-element-wise residual block: two convolutions with neurons, to whose spikes the shortcut adds its own.

    Equation: ``y = A(x) + S(x)`` for spikes A of convolution → batch norm → neurons, twice, and a shortcut S: x itself
    where the block keeps its shape, else 1×1 convolution → batch norm → neurons. Where A is silent, the block is the
    identity, and its gradient 1. The output counts spikes: after k blocks it may be as large as k + 1.

    It maps [T, B, inputs, H, W] to [T, B, outputs, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        shape: [inputs, H, W] of a sample.
        outputs: channels of the output.
        stride: by how much the block shrinks the image.
        neuron: the model of the neurons; each layer gets a copy.

    Source: Fang et al. 2021, "Deep residual learning in spiking neural networks", with ADD as its function g.

    Example:
        >>> import torch
        >>> from litspike import LIF
        >>> from litspike.networks import SEWBlock
        >>> block = SEWBlock((4, 8, 8), 8, 2, LIF())
        >>> block(torch.rand(5, 2, 4, 8, 8))[0].shape
        torch.Size([5, 2, 8, 4, 4])
    """

    @typed
    def __init__(self, shape: tuple[int, ...], outputs: int, stride: int, neuron: NeuronLayer) -> None:
        super().__init__()
        inputs, *image = sample_shape(shape, spatial=(2,), setting="shape")
        integer("outputs", outputs)
        integer("stride", stride)
        self.shape = (outputs, *(-(-size // stride) for size in image))
        """Shape of an output sample."""

        def stage(inputs: int, kernel_size: int, stride: int) -> list[nn.Module]:
            return [*convolution(inputs, outputs, 2, kernel_size, stride, True), neuron.shaped(*self.shape)]

        self.path = SpikingSequential([*stage(inputs, 3, stride), *stage(outputs, 3, 1)])
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else SpikingSequential(stage(inputs, 1, stride))

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return apply(self.path, x) + apply(self.shortcut, x)


class SEWResNet(SpikingSequential):
    r"""Spike-element-wise residual network: convolution → batch norm → neurons, stages of :class:`SEWBlock`, Linear.

    It maps currents or spikes [T, B, \*input_shape] to weighted spike counts, averaged over the image, [T, B, outputs].
    The first block of every stage but the first halves the image.

    Args:
        input_shape: shape of a sample: [channels, height, width].
        channels: channels of each stage, such as [16, 32, 64]; the first convolution has those of the first stage.
        blocks: number of blocks of each stage, such as [2, 2, 2].
        outputs: number of outputs.
        neuron: the model of the neurons; each layer gets a copy.

    Raises:
        SettingError: if a size is below 1, ``input_shape`` has not three of them, there are not as many ``blocks`` as
            ``channels``, or the image is too small to be halved so often.

    Source: Fang et al. 2021, "Deep residual learning in spiking neural networks".

    Example:
        >>> import torch
        >>> from litspike import LIF, SEWResNet
        >>> network = SEWResNet([1, 8, 8], [4, 8], [1, 1], 10, LIF())
        >>> network(torch.rand(5, 2, 1, 8, 8))[0].shape
        torch.Size([5, 2, 10])
    """

    @typed
    def __init__(
        self, input_shape: list[int], channels: list[int], blocks: list[int], outputs: int, neuron: NeuronLayer
    ) -> None:
        shape = sample_shape(input_shape, spatial=(2,))
        widths("channels", channels)
        if len(widths("blocks", blocks)) != len(channels):
            raise SettingError("blocks", blocks, f"is not one number for each of the {len(channels)} stages")
        if min(shape[1:]) <= 2 ** (len(channels) - 2):
            size = "×".join(map(str, shape[1:]))
            raise SettingError("channels", channels, f"halves the image of {size} too often: take fewer stages")
        integer("outputs", outputs)
        layers: list[nn.Module] = convolution(shape[0], channels[0], 2, 3, 1, True)
        shape = (channels[0], *shape[1:])
        layers.append(neuron.shaped(*shape))
        for stage, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            for index in range(count):
                block = SEWBlock(shape, width, 2 if stage and not index else 1, neuron)
                layers.append(block)
                shape = block.shape
        super().__init__([*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[0], outputs)])
