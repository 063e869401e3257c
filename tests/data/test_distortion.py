"""Distorted images: turned, stretched and moved about their middle, within the bounds that were set."""

from __future__ import annotations

import pytest
import torch

from litspike import SettingError
from litspike.data import Distortion
from litspike.seeding import generator


@pytest.mark.parametrize("settings", [{"turn": -1.0}, {"turn": 181.0}, {"stretch": 1.5}, {"shift": -0.1}])
def test_settings_outside_their_range_are_refused(settings: dict[str, float]):
    with pytest.raises(SettingError, match=next(iter(settings))):
        Distortion(**settings)


def blob(height: int, width: int, row: float, column: float, radius: float = 1.5) -> torch.Tensor:
    """A round spot, [1, 1, height, width]."""
    rows, columns = torch.arange(height)[:, None] - row, torch.arange(width)[None] - column
    return (-(rows**2 + columns**2) / (2 * radius**2)).exp()[None, None]


def centres(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of the centre of mass of each image, from the image's middle."""
    height, width = images.shape[2:]
    mass = images.sum((1, 2, 3))
    rows = torch.arange(height)[:, None] - (height - 1) / 2
    columns = torch.arange(width)[None] - (width - 1) / 2
    return (images[:, 0] * rows).sum((1, 2)) / mass, (images[:, 0] * columns).sum((1, 2)) / mass


def distorted(image: torch.Tensor, **settings: float) -> torch.Tensor:
    return Distortion(**settings)(image.expand(500, -1, -1, -1), generator(0))


def test_without_settings_images_stay_as_they_are():
    images = torch.rand(3, 2, 8, 6)
    torch.testing.assert_close(Distortion()(images, generator(0)), images)


def test_a_shift_moves_by_every_distance_up_to_the_largest():
    for moved in centres(distorted(blob(24, 40, 11.5, 19.5), shift=3.0)):
        assert -3.05 < moved.min() < -2.9
        assert 2.9 < moved.max() < 3.05
        assert abs(moved.mean()) < 0.3


def test_a_turn_keeps_the_distance_from_the_middle_in_an_image_of_any_shape():
    rows, columns = centres(distorted(blob(30, 50, 14.5, 32.5), turn=30.0))  # 8 to the right of the middle
    torch.testing.assert_close((rows**2 + columns**2).sqrt(), torch.full_like(rows, 8.0), atol=0.1, rtol=0)
    angles = torch.atan2(rows, columns).rad2deg()
    assert -30.5 < angles.min() < -29
    assert 29 < angles.max() < 30.5


def test_a_stretch_changes_width_and_height_apart():
    rows, columns = centres(distorted(blob(40, 40, 24.5, 27.5, 1.0), stretch=0.3))  # 5 below the middle, 8 to the right
    down, right = (rows / 5).log(), (columns / 8).log()
    for change in (down, right):
        assert -0.33 < change.min() < -0.27
        assert 0.27 < change.max() < 0.33
    assert abs(torch.corrcoef(torch.stack([down, right]))[0, 1]) < 0.2


def test_every_image_of_a_batch_is_distorted_in_its_own_way_and_again_the_same_from_the_same_seed():
    images = torch.rand(1, 1, 8, 8).expand(6, 1, 8, 8)
    distortion = Distortion(10.0, 0.1, 0.5)
    first = distortion(images, generator(3))
    assert len({tuple(image.flatten().tolist()) for image in first}) == 6
    assert torch.equal(first, distortion(images, generator(3)))
    assert not torch.equal(first, distortion(images, generator(4)))
