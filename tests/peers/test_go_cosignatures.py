"""Cosignatures and policies against golang.org/x/mod and transparency-dev/formats, both ways."""

from __future__ import annotations

import base64
import hashlib
import random
from itertools import combinations

import pytest

from tests.peers.go_verifier import GoVerifier, Subtree, VerifyRefusedError
from tests.vectors.keys import signer
from tlog_proofs import (
    Ed25519Cosigner,
    MlDsa44Cosigner,
    NoteSignature,
    QuorumError,
    TlogError,
    Verifier,
    cosignature_timestamp,
    format_note,
    open_checkpoint,
    open_note,
    parse_cosigner_key,
    parse_policy,
    parse_signer_key,
    parse_vkey,
    sign_note,
)

pytestmark = pytest.mark.peers

Cosigner = Ed25519Cosigner | MlDsa44Cosigner

ORIGIN = "peers.example/log"
ROOT = hashlib.sha256(b"root").digest()
LOG = signer(ORIGIN)
TIME = 1_790_000_000
TIMES = (1, 255, 256, TIME, 2**32, 2**63 - 1)


def seed(name: str) -> bytes:
    """A key for a name."""
    return hashlib.sha256(name.encode()).digest()


ED25519 = Ed25519Cosigner("peers.example/ed25519", seed("ed25519"))
ML_DSA_44 = MlDsa44Cosigner("peers.example/ml-dsa-44", seed("ml-dsa-44"))
COSIGNERS: list[Cosigner] = [ED25519, ML_DSA_44]


def text(size: int = 20_852_163, origin: str = ORIGIN, extensions: str = "") -> str:
    """A checkpoint."""
    return f"{origin}\n{size}\n{base64.b64encode(ROOT).decode()}\n{extensions}"


TEXTS = (
    text(),
    text(1),
    text(2**63 - 1),
    text(origin="o"),
    text(origin="\u65e5\u672c.example/\u00fc with spaces + plus"),
    text(extensions="one\ntwo \u2014 three\n"),
)


def cosigned(checkpoint: str, cosigner: Cosigner, time: int) -> bytes:
    """The checkpoint with the log's signature and a cosignature."""
    log_line = NoteSignature(LOG.name, LOG.key_id, LOG.sign(checkpoint.encode()))
    line = cosigner.cosign(checkpoint.encode(), time)
    return format_note(checkpoint.encode(), [log_line, line])


@pytest.mark.parametrize("cosigner", COSIGNERS, ids=["Ed25519", "ML-DSA-44"])
def test_go_opens_our_cosignatures(go_verifier: GoVerifier, cosigner: Cosigner) -> None:
    """Every text at every time, with the log's signature beside it or as a stranger's."""
    made = [(checkpoint, time) for checkpoint in TEXTS for time in TIMES]
    notes = [cosigned(checkpoint, cosigner, time) for checkpoint, time in made]
    key = cosigner.verifier
    opened = go_verifier.open([key.vkey], notes)
    assert [note.verified for note in opened] == [
        [(key.name, key.key_id, time)] for _, time in made
    ]
    assert {note.unverified for note in opened} == {1}
    both = go_verifier.open([LOG.verifier.vkey, key.vkey], notes[:1])
    assert both[0].verified == [(LOG.name, LOG.key_id, 0), (key.name, key.key_id, TIMES[0])]


@pytest.mark.parametrize("cosigner", COSIGNERS, ids=["Ed25519", "ML-DSA-44"])
def test_go_and_we_refuse_the_same(go_verifier: GoVerifier, cosigner: Cosigner) -> None:
    """Another text, time, name, key or a flipped bit: neither side takes it."""
    good = cosigner.cosign(text().encode(), TIME)
    later = (TIME + 1).to_bytes(8, "big") + good.signature[8:]
    flipped = good.signature[:-1] + bytes([good.signature[-1] ^ 1])
    lines = [
        (text(5), good.signature),
        (text(), later),
        (text(), flipped),
        (text(), good.signature[:-1]),
        (text(), good.signature + b"\0"),
        (text(), good.signature[8:]),  # without its time
    ]
    for checkpoint, signature in lines:
        line = NoteSignature(good.name, good.key_id, signature)
        note = format_note(checkpoint.encode(), [line])
        with pytest.raises(VerifyRefusedError, match="invalid signature"):
            go_verifier.open([cosigner.verifier.vkey], [note])
        with pytest.raises(TlogError):
            open_note(note, [cosigner.verifier])
    other = type(cosigner)(cosigner.name, seed("another"))
    note = format_note(text().encode(), [good])
    with pytest.raises(VerifyRefusedError, match="no verifiable signatures"):
        go_verifier.open([other.verifier.vkey], [note])
    assert go_verifier.open([cosigner.verifier.vkey], [note])


def test_we_open_what_go_cosigns(go_verifier: GoVerifier) -> None:
    """With our keys as text Go signs what we verify; Ed25519 signs the same bytes for that time."""
    for checkpoint in TEXTS[:-1]:
        note = go_verifier.cosign([ED25519.text, ML_DSA_44.text], checkpoint)
        opened = open_note(note, [ED25519.verifier, ML_DSA_44.verifier])
        assert opened.text == checkpoint.encode()
        first, second = opened.verified
        assert first == ED25519.cosign(opened.text, cosignature_timestamp(first))
        assert (second.name, second.key_id) == (ML_DSA_44.name, ML_DSA_44.key_id)
        assert cosignature_timestamp(second) > 0


@pytest.mark.parametrize("name", ["w", "peers.example/witness", "\u65e5\u672c/\u00e9"])
def test_keys_that_go_makes(go_verifier: GoVerifier, name: str) -> None:
    """Their texts are ours: vkeys and key ids of both kinds, from the same seeds."""
    keys = go_verifier.cosigner_keys(name)
    cosigner = Ed25519Cosigner(name, parse_signer_key(keys.key).seed)
    assert cosigner.verifier.vkey == keys.vkey
    ml_dsa = parse_cosigner_key(keys.ml_dsa_key)
    assert ml_dsa.verifier == parse_vkey(keys.ml_dsa_vkey)
    assert ml_dsa.verifier.vkey == keys.ml_dsa_vkey
    note = go_verifier.cosign([keys.key, keys.ml_dsa_key], text())
    assert len(open_note(note, [cosigner.verifier, ml_dsa.verifier]).verified) == 2


def test_subtrees(go_verifier: GoVerifier) -> None:
    """Ours verify there and theirs here, from 0 and from within, and with no other field."""
    trees = [
        Subtree(time, ORIGIN, start, end, ROOT)
        for time, start, end in [(0, 0, 1), (TIME, 0, 13), (0, 8, 13), (0, 2**40, 2**40 + 7)]
    ]
    key = ML_DSA_44.verifier
    theirs = go_verifier.subtrees(ML_DSA_44.text, key.vkey, trees)
    for tree, signature in zip(trees, theirs, strict=True):
        key.verify_subtree(tree.origin, tree.start, tree.end, tree.root, signature)
    ours = [
        Subtree(
            0,
            tree.origin,
            tree.start,
            tree.end,
            tree.root,
            ML_DSA_44.cosign_subtree(tree.origin, tree.start, tree.end, tree.root).signature,
        )
        for tree in trees
    ]
    assert go_verifier.subtrees(ML_DSA_44.text, key.vkey, ours) == [tree.signature for tree in ours]
    wrong = Subtree(0, ORIGIN, 8, 12, ROOT, ours[2].signature)
    with pytest.raises(VerifyRefusedError, match="does not verify"):
        go_verifier.subtrees(ML_DSA_44.text, key.vkey, [wrong])
    with pytest.raises(VerifyRefusedError, match="invalid timestamp"):
        go_verifier.subtrees(
            ML_DSA_44.text, key.vkey, [Subtree(TIME, ORIGIN, 8, 13, ROOT)]
        )  # a time with a subtree that does not begin at 0
    timed = TIME.to_bytes(8, "big") + ours[2].signature[8:]
    with pytest.raises(TlogError):
        key.verify_subtree(ORIGIN, 8, 13, ROOT, timed)


WITNESSES = [
    (Ed25519Cosigner if number % 2 else MlDsa44Cosigner)(f"w{number}", seed(f"w{number}"))
    for number in range(4)
]


def make_policy(choice: random.Random) -> str:
    """A policy of nested groups over the witnesses."""
    lines = [f"log {LOG.verifier.vkey} https://log.example/"]
    names = [f"W{number}" for number in range(len(WITNESSES))]
    for name, witness in zip(names, WITNESSES, strict=True):
        lines.append(f"witness {name} {witness.verifier.vkey} https://{name}.example/")
    for number in range(choice.randrange(5)):
        members = choice.sample(names, choice.randrange(1, len(names)))
        threshold = choice.choice(["any", "all", str(choice.randrange(1, len(members) + 1))])
        lines.append(f"group G{number} {threshold} {' '.join(members)}")
        names = [name for name in names if name not in members] + [f"G{number}"]
        if len(names) == 1:
            break
    lines.append(f"quorum {choice.choice([*names, names[-1], 'none'])}")
    return "\n".join([*lines, ""])


def test_quorums_are_go_s(go_verifier: GoVerifier) -> None:
    """Of every set of witnesses both say the same, whatever the groups."""
    checkpoint = text().encode()
    log_line = NoteSignature(LOG.name, LOG.key_id, LOG.sign(checkpoint))
    lines = [witness.cosign(checkpoint, TIME) for witness in WITNESSES]
    sets = [chosen for count in range(5) for chosen in combinations(lines, count)]
    notes = [format_note(checkpoint, [log_line, *chosen]) for chosen in sets]
    choice = random.Random(20)
    said = set()
    for _ in range(40):
        policy = make_policy(choice)
        ours = []
        for note in notes:
            try:
                open_checkpoint(note, parse_policy(policy.encode()))
            except QuorumError:
                ours.append(False)
            else:
                ours.append(True)
        assert go_verifier.satisfied(policy, notes) == ours, policy
        said.add(tuple(ours))
    assert len(said) > 10  # the policies differ in what they ask for


def test_go_opens_our_notes_with_both_kinds(go_verifier: GoVerifier) -> None:
    """A log's Ed25519 and ML-DSA-44 keys sign one checkpoint side by side."""
    ml_dsa_log = MlDsa44Cosigner(ORIGIN, seed("log"))
    checkpoint = text().encode()
    lines = open_note(sign_note(checkpoint, [LOG]), [LOG.verifier]).verified
    note = format_note(checkpoint, [*lines, ml_dsa_log.cosign(checkpoint, 0)])
    (opened,) = go_verifier.open([LOG.verifier.vkey, ml_dsa_log.verifier.vkey], [note])
    assert [name for name, _, _ in opened.verified] == [ORIGIN, ORIGIN]
    keys: list[Verifier] = [LOG.verifier, ml_dsa_log.verifier]
    assert open_checkpoint(note, keys).origin == ORIGIN
