"""Whom to believe: a key, several keys side by side, a policy with a quorum of witnesses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tlog_clients import (
    ConsistencyNotProvedError,
    ForkDetectedError,
    HeadFile,
    LogClient,
    LogReader,
    LogTrust,
    MemoryHeads,
    Step,
    Trust,
    TrustSource,
    audit_log,
)
from tlog_proofs import (
    Ed25519Cosigner,
    Ed25519Signer,
    MalformedError,
    QuorumError,
    TlogError,
    UnknownKeyError,
    format_note,
    parse_note_unverified,
    parse_policy,
)

WITNESSES = tuple(Ed25519Cosigner(f"witness.example/{n}", bytes([n]) * 32) for n in range(3))
NEW_SEED = b"n" * 32


def policy_text(log: LogSimulator, quorum: int = 2) -> bytes:
    """A policy of the log, three witnesses, and a quorum of so many of them."""
    lines = [f"log {log.key.vkey}"]
    lines += [f"witness w{n} {key.verifier.vkey}" for n, key in enumerate(WITNESSES)]
    lines += [f"group all-of-them {quorum} w0 w1 w2", "quorum all-of-them"]
    return "".join(f"{line}\n" for line in lines).encode()


def cosigned(count: int, size: int = 300) -> LogSimulator:
    """A log whose checkpoints carry the cosignatures of the first `count` witnesses."""
    return LogSimulator(make_entries(size), cosigners=WITNESSES[:count])


async def test_head_needs_the_quorum() -> None:
    """With two of three cosignatures asked for, one is refused and two are enough; nothing else."""
    for count, is_enough in ((0, False), (1, False), (2, True), (3, True)):
        log = cosigned(count)
        heads = MemoryHeads()
        reader = LogReader(log, LogTrust.of(parse_policy(policy_text(log))), heads)
        if is_enough:
            assert (await reader.head()).size == 300
            assert await reader.get(7) == log.entries[7]
            assert (await reader.prove(7)).index == 7
        else:
            with pytest.raises(QuorumError):
                await reader.head()
            assert heads.read(log.key) is None


async def test_audit_by_a_policy() -> None:
    """An audit by a policy asks for the quorum of the head that it ends at."""
    log = cosigned(2)
    trust = LogTrust.of(parse_policy(policy_text(log)))
    assert (await audit_log(log, trust)).size == 300
    log.cosigners = WITNESSES[:1]
    with pytest.raises(QuorumError):
        await audit_log(log, trust)


async def test_audit_refuses_a_larger_head_without_quorum() -> None:
    """Where a client by key alone kept a larger head that lacks the quorum, no audit passes it."""
    log = cosigned(0)
    heads = MemoryHeads()
    await LogReader(log, log.key, heads).head()
    log.size, log.cosigners = 200, WITNESSES
    with pytest.raises(QuorumError):
        await audit_log(log, LogTrust.of(parse_policy(policy_text(log))), heads=heads)


async def test_appended_without_quorum_is_reported() -> None:
    """An append whose head lacks the quorum stands; its head is not trusted."""
    log = cosigned(1)
    heads = MemoryHeads()
    client = LogClient(log, LogTrust.of(parse_policy(policy_text(log))), heads)
    result = await client.append(b"entry")
    assert (result.index, result.trust) == (300, Trust.REPORTED)
    assert "quorum" in result.reason
    batch = await client.append_batch([b"more"])
    assert (batch.indexes, batch.trust, batch.inclusion_verified) == ((301,), Trust.REPORTED, False)
    assert heads.read(log.key) is None
    log.cosigners = WITNESSES[:2]
    assert (await client.append(b"third")).trust is Trust.TRUSTED


@pytest.mark.parametrize("size", [300, 301, 350, 200])
async def test_a_fork_without_quorum_is_a_fork(size: int) -> None:
    """Who asks for a quorum finds a fork as others do: it is compared before it is counted."""
    log, heads = cosigned(2), MemoryHeads()
    trust = LogTrust.of(parse_policy(policy_text(log)))
    before = await LogReader(log, trust, heads).head()
    fork = LogSimulator(make_entries(size, salt="other "))
    for ask in (LogReader(fork, trust, heads).head, lambda: audit_log(fork, trust, heads=heads)):
        with pytest.raises((ForkDetectedError, ConsistencyNotProvedError)) as caught:
            await ask()
        assert {caught.value.old_note, caught.value.new_note} == {before.note, fork.checkpoint()}
    client = LogClient(fork, trust, heads)
    for append in (client.append(b"entry"), client.append_batch([b"more"])):
        with pytest.raises((ForkDetectedError, ConsistencyNotProvedError)) as caught:
            await append
        assert caught.value.__notes__
    assert heads.read(log.key) == before


async def test_a_kept_head_with_a_wrong_cosignature() -> None:
    """What a client that asks for no quorum kept, with junk in it, hinders no client by policy."""
    log, heads = cosigned(2), MemoryHeads()
    trust = LogTrust.of(parse_policy(policy_text(log)))
    note = parse_note_unverified(cosigned(0).checkpoint())
    wrong = [
        key.cosign(cosigned(0).checkpoint(299).partition(b"\n\n")[0] + b"\n", 1)
        for key in WITNESSES
    ]
    junk = format_note(note.text, [*note.signatures, *wrong])
    heads.replace(log.key, None, LogTrust.of(log.key).open_signed(junk))
    log.size = 200
    checked = await LogReader(log, trust, heads).check_head()
    assert (checked.signed.size, checked.step) == (200, Step.BACKWARD)
    assert heads.read(log.key) == LogTrust.of(log.key).open_signed(junk)


async def test_head_of_another_client_without_quorum() -> None:
    """A larger head kept by a client that asks for no quorum is held against the log, not given."""
    log = cosigned(0)
    heads = MemoryHeads()
    await LogReader(log, log.key, heads).head()
    log.size, log.cosigners = 200, WITNESSES
    reader = LogReader(log, LogTrust.of(parse_policy(policy_text(log))), heads)
    checked = await reader.check_head()
    assert (checked.signed.size, checked.step) == (200, Step.BACKWARD)
    kept = heads.read(log.key)
    assert kept is not None
    assert kept.size == 300
    log.entries[3] = b"another history"
    with pytest.raises(ConsistencyNotProvedError):
        await reader.check_head()


@pytest.mark.parametrize("in_file", [True, False])
async def test_keys_side_by_side(tmp_path: Path, *, in_file: bool) -> None:
    """Through a rotation, with both keys and then the new one alone, a fork is found at its end."""
    heads = HeadFile(tmp_path / "heads.json") if in_file else MemoryHeads()
    log = LogSimulator(make_entries(300), size=100)
    old, new = log.key, Ed25519Signer(log.origin, NEW_SEED).verifier
    both = LogTrust.of([old.vkey, new])
    await LogReader(log, old, heads).head()
    log.size, log.further_seeds = 200, (NEW_SEED,)
    assert (await LogReader(log, both, heads).check_head()).step is Step.FORWARD
    assert [heads.read(key) for key in (old, new)] == [heads.read(both)] * 2
    log.size, log.seed, log.further_seeds = 250, NEW_SEED, ()
    assert (await LogReader(log, both, heads).check_head()).step is Step.FORWARD
    sizes = [head.size for key in (old, new, both) if (head := heads.read(key))]
    assert sizes == [200, 250, 250]
    log.entries[3] = b"another history"
    log.size = None
    with pytest.raises(ForkDetectedError):
        await LogReader(log, both, heads).head()


@pytest.mark.parametrize("in_file", [True, False])
async def test_heads_of_all_keys_move(tmp_path: Path, *, in_file: bool) -> None:
    """A head that both keys signed continues both heads kept, and is kept under both."""
    heads = HeadFile(tmp_path / "heads.json") if in_file else MemoryHeads()
    log = LogSimulator(make_entries(300), size=100)
    new = Ed25519Signer(log.origin, NEW_SEED).verifier
    await LogReader(log, log.key, heads).head()
    log.seed, log.size = NEW_SEED, 200
    await LogReader(log, new, heads).head()
    both = LogTrust.of([LogSimulator([]).key, new])
    log.further_seeds, log.size = (LogSimulator([]).seed,), 300
    assert (await LogReader(log, both, heads).head()).size == 300
    sizes = [head.size for key in both.keys if (head := heads.read(key))]
    assert sizes == [300, 300]


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("sizes", [(100, 80, 120), (100, 80, 100), (100, 150, 120), (80, 80, 100)])
@pytest.mark.parametrize("signs_new", [True, False])
async def test_every_kept_head_is_compared(
    tmp_path: Path, sizes: tuple[int, int, int], *, in_file: bool, signs_new: bool
) -> None:
    """Where the head under one of the keys is of another tree, that is a fork, and it stays."""
    heads = HeadFile(tmp_path / "heads.json") if in_file else MemoryHeads()
    log = LogSimulator(make_entries(300), size=sizes[0])
    other = LogSimulator(make_entries(300, salt="other "), size=sizes[1], seed=NEW_SEED)
    both = LogTrust.of([log.key, other.key])
    kept = [await LogReader(source, source.key, heads).head() for source in (log, other)]
    log.size = sizes[2]
    if signs_new:
        log.seed = NEW_SEED
    # Of tiles, the log serves those of its own tree alone.
    with pytest.raises((ForkDetectedError, ConsistencyNotProvedError)):
        await LogReader(log, both, heads).head()
    assert [heads.read(key) for key in both.keys] == kept


async def test_a_head_that_one_key_no_longer_signs_is_compared_once() -> None:
    """The head under the old key stays, and costs no tile each time that the log is asked."""
    heads = MemoryHeads()
    log = LogSimulator(make_entries(300), size=100)
    new = Ed25519Signer(log.origin, NEW_SEED).verifier
    await LogReader(log, log.key, heads).head()
    log.seed, log.size = NEW_SEED, 200
    reader = LogReader(log, LogTrust.of([LogSimulator([]).key, new]), heads)
    await reader.head()
    for size in (200, 300):
        log.size = size
        log.requests.clear()
        assert (await reader.head()).size == size
        tiles = [path for path in log.requests if path.startswith("tile")]
        assert bool(tiles) is (size == 300)
        assert len(tiles) == len(set(tiles)), "one proof, from the largest"


async def test_keys_of_an_interrupted_audit(tmp_path: Path) -> None:
    """A head that is kept by a policy is the same one for a client by the key, and the reverse."""
    log = cosigned(2)
    trust = LogTrust.of(parse_policy(policy_text(log)))
    heads = HeadFile(tmp_path / "heads.json")
    await LogReader(log, trust, heads).head()
    assert (await LogReader(log, log.key, heads).check_head()).step is Step.SAME
    assert (await LogReader(log, trust, heads).check_head()).step is Step.SAME
    assert heads.read(trust) == heads.read(log.key)


def test_trust_from_what_users_have(tmp_path: Path) -> None:
    """A vkey, keys, a policy and its file say the same; a text is never taken for a path."""
    log = cosigned(0)
    file = tmp_path / "policy"
    file.write_bytes(policy_text(log))
    alone = LogTrust.of(log.key)
    assert (
        LogTrust.of(f" {log.key.vkey}\n") == LogTrust.of([log.key]) == LogTrust.of(alone) == alone
    )
    assert LogTrust.of(file) == LogTrust.of(parse_policy(policy_text(log)))
    assert LogTrust.of(file).keys == alone.keys
    other = LogSimulator([], "log.example/b").key.vkey
    refused: tuple[TrustSource, ...] = (str(file), [], [log.key.vkey, other], [log.key.vkey] * 17)
    for wrong in refused:
        with pytest.raises(MalformedError):
            LogTrust.of(wrong)
    with pytest.raises(MalformedError, match=r"expected keys of log\.example/b"):
        LogTrust.of(log.key, origin="log.example/b")
    with pytest.raises(FileNotFoundError):
        LogTrust.of(tmp_path / "absent")


def test_policy_of_several_logs() -> None:
    """Of a policy of several logs one must be named; the keys of the others sign nothing for it."""
    log, other = cosigned(3), replace(cosigned(3), origin="log.example/b", seed=OTHER_SEED)
    text = f"log {other.key.vkey}\n".encode() + policy_text(log)
    with pytest.raises(UnknownKeyError, match="2 logs"):
        LogTrust.of(parse_policy(text))
    with pytest.raises(UnknownKeyError):
        LogTrust.of(parse_policy(text), origin="log.example/c")
    trust = LogTrust.of(parse_policy(text), origin=log.origin)
    assert trust.open_head(log.checkpoint()).size == 300
    with pytest.raises(TlogError):
        trust.open_head(other.checkpoint())
