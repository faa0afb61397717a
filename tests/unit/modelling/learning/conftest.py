from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a job: small matrices are slower with threads, and threads of other tests wait for them."""
    with threadpool_limits(1):
        yield
