"""Mutants of the verifiers: each comparison, negation and refusal has a vector that needs it.

A mutant is the module's source with one place changed. It must fail a vector, or run on without end
(it has a bound of processor time). Lines whose changes cannot be noticed are listed with a reason.
"""

from __future__ import annotations

import ast
import copy
import inspect
import signal
import types
from collections.abc import Iterator
from types import FrameType, SimpleNamespace

import pytest

import tlog_proofs
import tlog_proofs.note
import tlog_proofs.verified_tiles
import tlog_proofs.verify
from tests.vectors import runner

PROCESSOR_SECONDS = 1

VECTORS = {
    "verify": (
        "inclusion/proofs.json",
        "consistency/proofs.json",
        "subtree/inclusion.json",
        "subtree/consistency.json",
    ),
    "verified_tiles": (
        "tile/verified.json",
        "tile/of-inclusion.json",
        "tile/of-consistency.json",
        "tile/of-leaves.json",
    ),
    "note": ("note/open.json", "note/malformed.json", "note/printed-c2sp-first-example.json"),
    "checkpoint": ("checkpoint/open.json", "checkpoint/texts.json"),
    "signed_checkpoint": ("checkpoint/open.json", "policy/checkpoints.json"),
    "policy": ("policy/checkpoints.json",),
    "policy_text": ("policy/texts.json", "policy/malformed.json"),
    "tlog_proof": ("tlog-proof/proofs.json",),
    "key_text": ("key/vkeys.json", "key/signer-keys.json"),
    "keys": ("key/vkeys.json", "key/signer-keys.json", "key/cosigner-keys.json"),
    "cosignature": (
        "cosignature/checkpoints.json",
        "cosignature/subtrees.json",
        "cosignature/ed25519-messages.json",
        "cosignature/subtree-messages.json",
    ),
    "named_key": ("key/vkeys.json", "key/signer-keys.json"),
    "ed25519": ("note/open.json",),
    "genesis": ("genesis/entries.json",),
    "control_note": (
        "control-note/entries.json",
        "control-note/malformed.json",
        "control-note/texts.json",
    ),
    "cose_sign1": ("receipt/inclusion.json", "receipt/malformed.json", "receipt/signed.json"),
    "receipt": (
        "receipt/inclusion.json",
        "receipt/consistency.json",
        "receipt/malformed.json",
        "receipt/policies.json",
    ),
}

BOUND = "a bound on cost; the tests of bounds need it"
BEHIND = "another check behind it refuses the same, with a worse message"
WRITING = "about what is written; the tests of writing need it"
SURVIVORS = {
    "verify": {
        "if not start <= index < end:": BEHIND,
        "if len(proof) > MAX_PROOF_HASHES:": BOUND,
    },
    "note": {
        'if any(character == "+" or character < " " or character.isspace() for character in name):'
        "": "a space is no control character, but refused as a space",
        "if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:": (
            "two vkeys of one id would have to be searched for; test_note has other verifiers"
        ),
        "if len(note) > MAX_NOTE_BYTES:": BOUND,
        "if parse_note_unverified(note) != Note(text, signatures):": WRITING,
        'names = ", ".join(f"{name}+{id_.hex()}" for name, id_ in known) or "no key at all"': (
            "words of a message"
        ),
    },
    "checkpoint": {
        'if "\\n" in origin:': "a guard of other messages; vectors of cosignatures reach it",
        'if b"\\n\\n" in text:': BEHIND,
        "if format_checkpoint(checkpoint) != text:": "a guard; test_formats reaches it",
        "if len(text) > MAX_CHECKPOINT_BYTES:": BOUND,
        'if not all(lines) or text.count(b"\\n") != len(lines) or len(text) > MAX_CHECKPOINT_BYTES:'
        "": WRITING,
    },
    "control_note": {
        "if len(text) > MAX_ENTRY_BYTES:": BOUND,
        "if len(entry) > MAX_ENTRY_BYTES:": BOUND,
        "if spelled != text:": "a guard: nothing else is known to reach it",
    },
    "tlog_proof": {
        "if len(data) > MAX_TLOG_PROOF_BYTES:": BOUND,
        "if lines.pop(0) != _FIRST_LINE or not separator:": BEHIND,
        'if not lines or not lines[0].startswith(b"index "):': BEHIND,
        "if not 1 <= len(proof.extra) <= MAX_EXTRA_BYTES:": BOUND,
        "if spelled != data:": "a guard; test_formats reaches it",
    },
    "cosignature": {
        "if len(signature.signature) <= TIMESTAMP_SIZE:": "verified lines are longer",
    },
    "policy": {
        "if not logs:": "for_origin; test_policy",
        "logs = tuple(log for log in self.logs if log.key.name == origin)": "likewise",
    },
    "policy_text": {
        "if len(text) > MAX_POLICY_BYTES:": BOUND,
    },
    "key_text": {
        'if len(id_text) != 2 * KEY_ID_SIZE or not set(id_text) <= set("0123456789abcdef"):': (
            "eight digits are never all sixteen"
        ),
        "if len(material) <= 1:": BEHIND,
        "if len(text) > MAX_VKEY_BYTES:": BOUND,
    },
}
"""Lines with changes that no vector can notice, and why."""

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


class RunsOnError(Exception):
    """The mutant has used up its processor time."""


def mutate(node: ast.AST) -> Iterator[str]:
    """Change a node in place, one way after the other, and say how; undo each before the next."""
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            node.ops[position] = OPPOSITES[type(operator)]()
            yield f"{type(operator).__name__} -> {type(node.ops[position]).__name__}"
            node.ops[position] = operator
    elif isinstance(node, ast.BoolOp):
        operator_ = node.op
        node.op = ast.Or() if isinstance(operator_, ast.And) else ast.And()
        yield f"{type(operator_).__name__} -> {type(node.op).__name__}"
        node.op = operator_
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        operand = node.operand
        node.operand = ast.UnaryOp(ast.Not(), operand)
        yield "not removed"
        node.operand = operand
    elif isinstance(node, ast.If):
        body = node.body
        if any(isinstance(statement, ast.Raise) for statement in body):
            node.body = [ast.Pass()]
            yield "refusal removed"
            node.body = body


def mutants(module: types.ModuleType) -> Iterator[tuple[str, ast.Module]]:
    """Give each mutant of a module with its name: the changed line, and how it was changed."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for change in mutate(node):
            line = lines[node.lineno - 1].strip()  # type: ignore[attr-defined]
            yield f"{line}  # {change}", ast.fix_missing_locations(copy.deepcopy(tree))


def survives(module: types.ModuleType, tree: ast.Module) -> bool:
    """Say whether a mutant gives what every vector of its module expects."""
    mutant = types.ModuleType(module.__name__)
    exec(compile(tree, module.__name__, "exec"), mutant.__dict__)  # noqa: S102 - our own source
    api = SimpleNamespace(**vars(tlog_proofs))
    for name in tlog_proofs.__all__:
        if getattr(getattr(tlog_proofs, name), "__module__", None) == module.__name__:
            setattr(api, name, getattr(mutant, name))
    with pytest.MonkeyPatch.context() as patch:
        install(module, mutant, patch)
        try:
            for file in VECTORS[module.__name__.rpartition(".")[2]]:
                content = runner.load(file)
                for case in content["cases"]:
                    runner.run(content["operation"], case, api)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - however it fails, it is caught
            return False
    return True


def install(module: types.ModuleType, mutant: types.ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Let all other modules of the package call the mutant's functions and methods."""
    for other in vars(tlog_proofs).copy().values():
        if not isinstance(other, types.ModuleType) or other is module:
            continue
        for name, member in inspect.getmembers(other, inspect.isfunction):
            if member.__module__ == module.__name__:
                patch.setattr(other, name, getattr(mutant, name))
    for name, class_ in inspect.getmembers(module, inspect.isclass):
        if class_.__module__ != module.__name__:
            continue
        for method, member in vars(getattr(mutant, name)).items():
            own = not method.startswith("__") or method == "__post_init__"
            if own and isinstance(member, types.FunctionType | property):
                patch.setattr(class_, method, member)


@pytest.mark.parametrize("name", VECTORS)
def test_every_mutant_fails_a_vector(name: str) -> None:
    """No change of a comparison, a negation or a refusal in a verifier goes unnoticed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise RunsOnError

    module = getattr(tlog_proofs, name)
    survivors = set()
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        for change, tree in mutants(module):
            signal.setitimer(signal.ITIMER_VIRTUAL, PROCESSOR_SECONDS)
            if survives(module, tree):
                survivors.add(change.partition("  # ")[0])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert survivors == set(SURVIVORS.get(name, {}))
