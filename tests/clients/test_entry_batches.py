"""The results of several batches as one."""

from __future__ import annotations

import pytest

from tlog_clients import BatchResult, Trust
from tlog_clients.entry_batches import join_results

ORDER = (Trust.PENDING, Trust.REPORTED, Trust.TRUSTED)


@pytest.mark.parametrize("before", ORDER)
@pytest.mark.parametrize("after", ORDER)
def test_of_many_batches_the_lower_trust(before: Trust, after: Trust) -> None:
    """What one of several requests could not show, all of them together do not."""
    first = BatchResult((5,), (b"a",), "published", 5, trust=before, inclusion_verified=True)
    second = BatchResult((6,), (b"b",), "published", 6, trust=after, reason="no tiles")
    joined = join_results(first, second)
    assert joined.trust is ORDER[min(ORDER.index(before), ORDER.index(after))]
    assert (joined.indexes, joined.leaf_hashes, joined.first_index) == ((5, 6), (b"a", b"b"), 5)
    assert not joined.inclusion_verified
    assert joined.reason == "no tiles"
