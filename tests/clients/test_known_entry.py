"""Equal entries sent twice: a log that adds the second one only in its words is found out."""

from __future__ import annotations

import pytest

from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import LogClient, LogMisbehaviourError, MemoryHeads, PostAnswer

SIZE = 300


class ForgetfulLog(LogSimulator):
    """Answers, while it is told to, with known entries of equal bytes, and adds none."""

    answers_with: int | None = None
    says_new = False

    def _place(self, lines: list[tuple[bytes, str]]) -> list[int]:
        if self.answers_with is None:
            return super()._place(lines)
        return [self.answers_with + number for number in range(len(lines))]

    async def post(self, path: str, body: bytes, **options: object) -> PostAnswer:
        answer = await super().post(path, body, **options)  # type: ignore[arg-type]
        return PostAnswer(201, answer.body) if self.says_new else answer


@pytest.mark.parametrize("batch", [False, True], ids=["entry", "batch"])
async def test_entry_that_was_not_added(batch: bool) -> None:
    """A log that answers with an entry of equal bytes, which is known, and adds none is found."""
    log = ForgetfulLog(make_entries(SIZE))

    async def append(entry_id: str | None, *, is_fresh: bool = False) -> object:
        client = LogClient(log, log.key, heads)
        if batch:
            ids = None if entry_id is None else [entry_id, "known"]
            return await client.append_batch([b"same", b"same"], ids=ids, is_fresh=is_fresh)
        return await client.append(b"same", entry_id=entry_id, is_fresh=is_fresh)

    heads = MemoryHeads()
    await append("first")
    known = len(log.entries)
    log.entries += [b"same", b"same"]
    await append("second")
    log.answers_with = known
    await append("first")  # what one sent before may stand
    for entry_id, is_fresh in ((None, False), ("new", True)):
        with pytest.raises(LogMisbehaviourError, match="a new entry is said to stand at index"):
            await append(entry_id, is_fresh=is_fresh)
    log.says_new = True
    log.answer_post = lambda value: value | {"first_index": known}
    with pytest.raises(LogMisbehaviourError, match="a new entry is said to stand at index"):
        await append("first")
