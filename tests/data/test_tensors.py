"""What every data module promises of its batches: kinds of labels, and samples in their form."""

from __future__ import annotations

import pytest
import torch

from litspike import UserError
from litspike.data import TensorDataModule
from litspike.data.labels import Binary, Classes, Labels, Values, of_classes


class Given(TensorDataModule):
    """Data that a test gives; the encoder gets the double."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, labels: Labels) -> None:
        super().__init__(2, 3, 0)
        self.given, self.labels = (x, y), labels

    def part(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.given

    def form(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


@pytest.mark.parametrize(
    ("labels", "y", "dtype"),
    [
        (Binary(), torch.tensor([0, 1, 1]), torch.float32),
        (Classes(3), torch.tensor([0.0, 2.0, 1.0]), torch.int64),
        (Values(), torch.tensor([[0.5], [1.5], [-2.0]], dtype=torch.float64), torch.float32),
    ],
)
def test_labels_reach_the_task_in_the_type_of_their_kind(labels: Labels, y: torch.Tensor, dtype: torch.dtype):
    batches = list(Given(torch.zeros(3, 2), y, labels).val_dataloader())
    assert len(batches) == 1
    assert batches[0][1].dtype == dtype
    assert torch.equal(batches[0][1].double(), y.double())


def test_every_loader_forms_its_samples_a_batch_at_a_time():
    data = Given(torch.arange(3.0)[:, None], torch.zeros(3), Binary())
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        assert torch.cat([x for x, _ in loader]).sort(0).values.flatten().tolist() == [0, 2, 4]
    assert data.dataset("train").tensors[0].flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "y", "message"),
    [
        (Classes(3), torch.tensor([0, 3]), "the label 3 in sample 1; it must be from 0 to 2"),
        (Classes(3), torch.tensor([-1, 1]), "the label -1 in sample 0"),
        (Classes(3), torch.tensor([0.0, 0.5]), "the label 0.5 in sample 1"),
        (Classes(3), torch.tensor([0.0, float("nan")]), "the label nan in sample 1"),
        (Values(), torch.tensor([0.0, 1.0]), r"targets of shape \[2\]; they must be \[N, D\]"),
        (Values(), torch.tensor([[0.0, 1.0], [0.0, float("inf")]]), "the label inf in sample 1; it must be finite"),
    ],
)
def test_labels_of_another_kind_are_refused(labels: Labels, y: torch.Tensor, message: str):
    with pytest.raises(UserError, match=message):
        Given(torch.zeros(2, 2), y, labels).setup("fit")


def test_two_classes_have_one_logit_and_more_have_one_each():
    assert isinstance(of_classes(2), Binary)
    assert isinstance(of_classes(3), Classes)
