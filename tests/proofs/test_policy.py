"""Policies: quorums against an oracle, bounds, keys of one log, and whatever bytes come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.vectors import runner
from tests.vectors.cosignatures import EXTENDED, ORIGIN, TEXT, TIME
from tests.vectors.cosigners import NOTE, Key
from tests.vectors.policies import GROUPS, LOG, ML_DSA_LOG, NEXT_LOG, OTHER_LOG, TWINS, W4, W
from tests.vectors.policy_checkpoints import ONE
from tlog_proofs import (
    MAX_POLICY_BYTES,
    BadSignatureError,
    CosignedCheckpoint,
    MalformedKeyError,
    MalformedPolicyError,
    OriginMismatchError,
    Policy,
    PolicyGroup,
    PolicyLog,
    QuorumError,
    TlogError,
    UnknownKeyError,
    UnsignedExtensionError,
    check_quorum,
    open_checkpoint,
    parse_policy,
    parse_vkey,
)

POLICIES = [
    case["input"].get("policy", "").encode() or bytes.fromhex(case["input"]["policy_hex"])
    for case in runner.load("policy/texts.json")["cases"]
]
NAMES = (b"X1", b"X2", b"X3", b"Y1", b"Y2")


def note(*lines: tuple[Key, int], text: str = TEXT) -> bytes:
    """Write a note with lines of these keys."""
    return f"{text}\n{''.join(key.line(text, time) for key, time in lines)}".encode()


def agrees(policy: Policy, name: bytes, witnesses: set[bytes]) -> bool:
    """Decide by the definition, from the top down, whether a witness or group has cosigned."""
    for group in policy.groups:
        if group.name == name:
            votes = [agrees(policy, member, witnesses) for member in group.members]
            return votes.count(True) >= group.threshold
    return name in witnesses


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make any policy of witnesses and groups by the text that describes it."""
    lines: list[str] = []
    free: list[str] = []
    names = [f"n{number}" for number in range(draw(st.integers(1, 12)))]
    for number, name in enumerate(names):
        count = draw(st.integers(0, len(free)))
        if count:
            members = draw(st.permutations(free))[:count]
            free = [member for member in free if member not in members]
            threshold = draw(st.sampled_from(["any", "all", str(draw(st.integers(1, count)))]))
            lines.append(f"group {name} {threshold} {' '.join(members)}\n")
        else:
            lines.append(f"witness {name} {Key('w', number=number).vkey}\n")
        free.append(name)
    quorum = draw(st.sampled_from([*names, "none"]))
    return parse_policy("".join([*lines, f"quorum {quorum}\n"]).encode())


@settings(max_examples=300, deadline=None)
@given(policies(), st.data())
def test_quorums_are_what_the_definition_says(policy: Policy, data: st.DataObject) -> None:
    """For any policy and any set of witnesses, the quorum is that of the recursive definition."""
    known = [witness.name for witness in policy.witnesses]
    witnesses = data.draw(st.lists(st.sampled_from([*known, b"stranger", *NAMES])))
    enough = policy.quorum is None or agrees(policy, policy.quorum, set(witnesses) & set(known))
    if enough:
        check_quorum(policy, witnesses)
    else:
        with pytest.raises(QuorumError) as caught:
            check_quorum(policy, witnesses)
        assert caught.value.quorum == policy.quorum
        assert caught.value.witnesses == tuple(dict.fromkeys(witnesses))


def test_every_set_of_witnesses_of_the_example() -> None:
    """Two of X and one of Y: all 32 sets, by counting."""
    policy = parse_policy(GROUPS.encode())
    for count in range(6):
        for witnesses in itertools.combinations(NAMES, count):
            xs = [name for name in witnesses if name.startswith(b"X")]
            if len(xs) >= 2 and len(witnesses) > len(xs):
                check_quorum(policy, iter(witnesses))
            else:
                with pytest.raises(QuorumError):
                    check_quorum(policy, witnesses)


def test_a_group_s_name_is_no_vote() -> None:
    """Whoever claims to be a group has not cosigned for it."""
    with pytest.raises(QuorumError):
        check_quorum(parse_policy(GROUPS.encode()), [b"X", b"Y", b"both"])


def test_times_are_there_for_a_second_quorum() -> None:
    """A caller finds out who cosigned when, and asks for a quorum of the recent ones alone."""
    policy = parse_policy(GROUPS.encode())
    lines = [(LOG, 0), (W[0], TIME), (W[1], TIME + 60), (W4, TIME + 60)]
    signed = open_checkpoint(note(*lines), policy)
    assert isinstance(signed, CosignedCheckpoint)
    assert [(item.witness, item.key.name, item.timestamp) for item in signed.cosignatures] == [
        (b"X1", W[0].name, TIME),
        (b"X2", W[1].name, TIME + 60),
        (b"Y1", W4.name, TIME + 60),
    ]
    recent = [item.witness for item in signed.cosignatures if item.timestamp > TIME]
    with pytest.raises(QuorumError, match=r"expected a quorum of 'both', got .* by 'X2', 'Y1'$"):
        check_quorum(policy, recent)


def test_the_error_of_a_quorum_is_bounded() -> None:
    """However many witnesses there are, and however long their names, the message is short."""
    name = b"\xff" * 100_000
    policy = Policy((), (), (PolicyGroup(name, 1, ()),), name)
    with pytest.raises(QuorumError, match="and others") as caught:
        check_quorum(policy, [name + b"%d" % number for number in range(100)])
    assert len(str(caught.value)) < 3000
    with pytest.raises(QuorumError, match="nobody"):
        check_quorum(policy, [])


def test_a_policy_narrowed_to_one_log() -> None:
    """The policy of one origin keeps that log's keys and refuses the others' checkpoints."""
    logs = "".join(f"log {key.vkey}\n" for key in (LOG, OTHER_LOG, NEXT_LOG, ML_DSA_LOG))
    policy = parse_policy(f"{logs}quorum none\n".encode())
    one = policy.for_origin(ORIGIN)
    assert [log.key.vkey for log in one.logs] == [LOG.vkey, NEXT_LOG.vkey, ML_DSA_LOG.vkey]
    others = note((OTHER_LOG, 0), text=TEXT.replace(ORIGIN, OTHER_LOG.name))
    assert open_checkpoint(others, policy).origin == OTHER_LOG.name
    with pytest.raises(UnknownKeyError):
        open_checkpoint(others, one)
    with pytest.raises(UnknownKeyError, match="it has none"):
        policy.for_origin("log.example/three")


def test_a_policy_without_logs_takes_them_from_elsewhere() -> None:
    """An application that knows its log adds it to a policy that lists none."""
    policy = parse_policy(f"witness w {W[0].vkey}\nquorum w\n".encode())
    signed = note((LOG, 0), (W[0], TIME))
    with pytest.raises(UnknownKeyError):
        open_checkpoint(signed, policy)
    key = parse_policy(ONE.encode()).logs[0].key
    assert open_checkpoint(signed, replace(policy, logs=(PolicyLog(key),))).origin == ORIGIN


def test_several_keys_of_one_log() -> None:
    """Old and new key given together: either is enough, a bad signature by either is refused."""
    keys = [parse_vkey(key.vkey) for key in (LOG, NEXT_LOG)]
    for lines in ([(LOG, 0)], [(NEXT_LOG, 0)], [(NEXT_LOG, 0), (LOG, 0)]):
        assert open_checkpoint(note(*lines), keys).size == 20852163
        assert open_checkpoint(note(*lines), tuple(keys)).origin == ORIGIN
    good = note((LOG, 0))
    with pytest.raises(BadSignatureError):
        open_checkpoint(good + NEXT_LOG.raw_line(bytes(64)).encode(), keys)
    with pytest.raises(UnknownKeyError):
        open_checkpoint(good, keys[1:])
    with pytest.raises(UnknownKeyError):
        open_checkpoint(good, [])


def test_extension_lines_that_nothing_covers() -> None:
    """With ML-DSA-44 alone extension lines are refused; an Ed25519 signature of the log vouches."""
    keys = [parse_vkey(key.vkey) for key in (ML_DSA_LOG, LOG)]
    alone = note((ML_DSA_LOG, TIME), text=EXTENDED)
    with pytest.raises(UnsignedExtensionError):
        open_checkpoint(alone, keys)
    with pytest.raises(UnsignedExtensionError):
        open_checkpoint(alone, keys[0])
    both = note((ML_DSA_LOG, TIME), (LOG, 0), text=EXTENDED)
    assert open_checkpoint(both, keys).checkpoint.extensions == ("an extension line",)
    with pytest.raises(UnsignedExtensionError):
        open_checkpoint(both, keys[0])


def test_another_log_s_key_speaks_for_no_other() -> None:
    """Among several keys, one whose name is not the origin does not open the checkpoint."""
    keys = [parse_vkey(key.vkey) for key in (LOG, OTHER_LOG)]
    with pytest.raises(OriginMismatchError, match="two"):
        open_checkpoint(note((OTHER_LOG, 0)), keys)
    assert open_checkpoint(note((OTHER_LOG, 0), (LOG, 0)), keys).origin == ORIGIN


def test_policies_out_of_bounds() -> None:
    """A policy of exactly a mebibyte is read, one byte more is not; nor is a 257th item."""
    padded = ONE.encode() + b"#" * (MAX_POLICY_BYTES - len(ONE) - 1) + b"\n"
    assert parse_policy(padded) == parse_policy(ONE.encode())
    with pytest.raises(MalformedPolicyError, match="bytes, got"):
        parse_policy(padded + b"\n")
    witnesses = [f"witness w{n} {Key('w', number=n).vkey}\n" for n in range(257)]
    groups = [f"group g{n} any {'g' if n else 'w'}{max(n - 1, 0)}\n" for n in range(257)]
    logs = [f"log {Key(f'log{n}', NOTE).vkey}\n" for n in range(257)]
    for first, items in ("", logs), ("", witnesses), (witnesses[0], groups):
        for count in (256, 257):
            text = f"{first}{''.join(items[:count])}quorum none\n".encode()
            if count == 256:
                parse_policy(text)
            else:
                with pytest.raises(MalformedPolicyError, match="at most 256"):
                    parse_policy(text)


def test_the_deepest_groups() -> None:
    """256 groups in each other are judged without recursion."""
    groups = "".join(f"group g{n} all {f'g{n - 1}' if n else 'w'}\n" for n in range(256))
    policy = parse_policy(f"witness w {W[0].vkey}\n{groups}quorum g255\n".encode())
    check_quorum(policy, [b"w"])
    with pytest.raises(QuorumError):
        check_quorum(policy, [])


def test_an_error_names_its_line() -> None:
    """What is wrong is said with the number of its line, comments counted."""
    with pytest.raises(MalformedPolicyError, match=r"^line 3: .*b'threshold'"):
        parse_policy(b"# one\n\nthreshold 3\nquorum none\n")


def test_keys_of_a_policy_made_by_hand() -> None:
    """Two keys of one name and id, which no file gives, are refused when a note is opened."""
    policy = parse_policy(ONE.encode())
    twins = [
        parse_policy(f"witness {n} {vkey}\nquorum none\n".encode()).witnesses[0]
        for n, vkey in enumerate(TWINS)
    ]
    with pytest.raises(MalformedKeyError, match="share"):
        open_checkpoint(note((LOG, 0)), replace(policy, witnesses=tuple(twins)))


@settings(max_examples=300, deadline=None)
@given(
    strategies.blobs() | st.sampled_from(POLICIES).flatmap(strategies.mutated),
    st.sampled_from([note((LOG, 0), (W[0], TIME)), note((OTHER_LOG, 0))]),
)
def test_policies_of_anything(data: bytes, signed: bytes) -> None:
    """Any bytes and damaged policies: only TlogErrors, with messages that are bounded."""
    try:
        policy = parse_policy(data)
        opened = open_checkpoint(signed, policy)
    except TlogError as error:
        assert 0 < len(str(error)) < 1000
        str(error).encode()
        return
    assert any(log.key.name == opened.origin for log in policy.logs)
