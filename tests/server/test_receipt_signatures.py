"""The signature of receipts: made at publication, of stored heads alone, and kept."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.server.doubles import running_log
from tests.server.hosts import open_host
from tests.vectors.receipt_bytes import array, bstr, protected, tstr
from tlog import publisher
from tlog.creation import NewLog
from tlog.sqlite import row_digest
from tlog_proofs import Ed25519Signer, sign_receipts


async def test_each_checkpoint_has_its_signature(tmp_path: Path) -> None:
    """Over the Sig_structure of its root and size, written byte by byte here; also of size 1."""
    async with running_log(tmp_path) as log:
        for _ in range(3):
            appended = await log.sequencer.append([b"x"])
            await log.publisher.wait(appended.size, 20)
        rows = [row for _, row in log.checkpoints.above(-1, 10)]
        assert [row.size for row in rows if row is not None] == [1, 2, 3, 4]
        for row in rows:
            assert row is not None
            assert row.receipt_signature is not None
            header = protected(row.size, log.signer)
            text = array(tstr("Signature1"), bstr(header), bstr(b""), bstr(row.root))
            log.signer.verifier.verify(text, row.receipt_signature)
        assert log.publisher.published == rows[-1]


@pytest.mark.parametrize("fault", ["lost", "persisted"])
async def test_only_of_heads_that_are_stored(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the head store failed, no receipt was signed that could tell of the head."""
    signed: list[int] = []

    def sign(signer: Ed25519Signer, size: int, root: bytes) -> bytes:
        signed.append(size)
        return sign_receipts(signer, size, root)

    monkeypatch.setattr(publisher, "sign_receipts", sign)
    async with running_log(tmp_path) as log:
        before = list(signed)
        appended = await log.sequencer.append([b"x"])
        await log.publisher.wait(appended.size, 20)
        assert signed == [*before, 2]
        log.heads.fault = fault
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        await asyncio.sleep(0.05)
        assert signed == [*before, 2]


async def test_a_wrong_signature_stops_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is verified before anybody sees it; the old checkpoint stays in service."""
    async with running_log(tmp_path) as log:
        monkeypatch.setattr(publisher, "sign_receipts", lambda *_: bytes(64))
        appended = await log.sequencer.append([b"x"])
        assert await log.publisher.wait(appended.size, 20) is None
        assert log.publisher.published.size == 1
        assert log.checkpoints.at(2) is None
        assert "own signature does not verify" in log.reasons[0]


async def test_a_row_of_before_has_none_until_the_next_publication(tmp_path: Path) -> None:
    """NULL reads as None, the row is served as ever, and what is published next has one."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", "log.example/a"))
    with sqlite3.connect(tmp_path / "logs" / "a" / "checkpoints.db") as database:
        ((*columns, _, _),) = database.execute("SELECT * FROM checkpoints")
        digest = row_digest("checkpoints", [*columns, None])
        database.execute("UPDATE checkpoints SET receipt_signature = NULL, digest = ?", [digest])
        database.execute("DROP INDEX checkpoints_by_time")
    database.close()
    async with open_host(tmp_path) as host:
        log = host.log("a")
        assert log.state != "read-only"
        assert log.published.receipt_signature is None
        assert await log.checkpoint_not_after(1 << 60) == log.published.note
        appended = await log.append([b"x"])
        published = await log.wait_published(appended.size, 20)
        assert published is not None
        assert published.receipt_signature is not None
