"""The garbage collector while a config is applied."""

import gc
from collections.abc import Iterator

import pytest

from probe.daemon.collection_pause import collection_pause


@pytest.fixture(autouse=True)
def _unfreeze() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_objects_that_stay_are_not_searched_again() -> None:
    frozen = gc.get_freeze_count()
    with collection_pause():
        assert not gc.isenabled()
        kept = [[number] for number in range(10_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_an_error_does_not_end_the_collection_of_garbage() -> None:
    with pytest.raises(ValueError, match="no config"), collection_pause():
        raise ValueError("no config")
    assert gc.isenabled()
