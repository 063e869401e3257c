from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def poisoned_buffers() -> Iterator[None]:
    """Fresh memory holds NaN, so that a value that a kernel forgets to write shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
