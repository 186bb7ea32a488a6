"""Reading tlog-policy files: lines of items, in an order in which names are defined before use.

    log VKEY [URL]
    witness NAME VKEY [URL]
    group NAME all|any|K MEMBER ...
    quorum NAME|none

The file is octets; names are compared as such. Whatever is not allowed is refused: a line that was
skipped might have been the one that mattered.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

import re
from typing import TypeVar

from tlog_proofs.cosignature import Ed25519CosignatureVerifier, MlDsa44CosignatureVerifier
from tlog_proofs.ed25519 import Ed25519Verifier
from tlog_proofs.errors import MalformedError, MalformedPolicyError
from tlog_proofs.keys import VerifierKey, parse_vkey
from tlog_proofs.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness
from tlog_proofs.strict import parse_decimal, show

MAX_POLICY_BYTES = 1 << 20
MAX_POLICY_ITEMS = 256
"""The most logs, the most witnesses and the most groups."""

_NO_QUORUM = b"none"
_BAD_OCTET = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS = re.compile(rb"[ \t]+")

_Item = TypeVar("_Item")


def parse_policy(text: bytes) -> Policy:
    """Read a policy file.

    Log keys are of type 0x01 or 0x06, witness keys of type 0x04 or 0x06.

    Raises:
        MalformedPolicyError: it is none, has more than MAX_POLICY_BYTES bytes, or more than
            MAX_POLICY_ITEMS logs, witnesses or groups.
    """
    if len(text) > MAX_POLICY_BYTES:
        raise MalformedPolicyError(
            f"expected a policy of at most {MAX_POLICY_BYTES} bytes, got {len(text)}"
        )
    if bad := _BAD_OCTET.search(text):
        raise MalformedPolicyError(
            f"expected no control characters but tab and LF, got 0x{bad.group().hex()} "
            f"at byte {bad.start()}"
        )
    if not text.endswith(b"\n"):
        raise MalformedPolicyError("expected lines that each end in LF, the last one does not")
    reader = _Reader()
    for number, line in enumerate(text[:-1].split(b"\n"), start=1):
        items = [item for item in _BLANKS.split(line) if item]
        if not items or items[0].startswith(b"#"):
            continue
        try:
            reader.read(items[0], items[1:])
        except MalformedError as error:
            raise MalformedPolicyError(f"line {number}: {error}") from error
    return reader.policy()


class _Reader:
    """What the lines so far have defined."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._quorum: bytes | None = None
        # Each name that may stand in a group or as the quorum, and whether a group has it.
        self._names: dict[bytes, bool] = {}
        self._keys: dict[tuple[str, bytes], VerifierKey] = {}

    def policy(self) -> Policy:
        """Give the policy after the last line."""
        if self._quorum is None:
            raise MalformedPolicyError("expected a line of quorum and a name, there is none")
        quorum = None if self._quorum == _NO_QUORUM else self._quorum
        return Policy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), quorum)

    def read(self, keyword: bytes, items: list[bytes]) -> None:
        """Take in one line that is neither empty nor a comment."""
        match keyword, items:
            case b"log", [vkey, *url] if len(url) <= 1:
                self._read_log(vkey, *url)
            case b"witness", [name, vkey, *url] if len(url) <= 1:
                self._read_witness(name, vkey, *url)
            case b"group", [name, threshold, *members] if members:
                self._read_group(name, threshold, members)
            case b"quorum", [name]:
                self._read_quorum(name)
            case _:
                raise MalformedPolicyError(
                    "expected log VKEY [URL], witness NAME VKEY [URL], group NAME all|any|K "
                    f"MEMBER ... or quorum NAME, got {show(keyword)} and {len(items)} items"
                )

    def _read_log(self, vkey: bytes, url: bytes | None = None) -> None:
        key = self._read_key(vkey)
        if not isinstance(key, Ed25519Verifier | MlDsa44CosignatureVerifier):
            raise MalformedPolicyError(
                f"expected a log's vkey, of type 0x01 or 0x06, got type 0x{key.key_type:02x}"
            )
        if any(key.public_key == log.key.public_key for log in self._logs):
            raise MalformedPolicyError(f"expected each log key once, got {show(key.vkey)} again")
        _append(self._logs, PolicyLog(key, url))

    def _read_witness(self, name: bytes, vkey: bytes, url: bytes | None = None) -> None:
        key = self._read_key(vkey)
        if not isinstance(key, Ed25519CosignatureVerifier | MlDsa44CosignatureVerifier):
            raise MalformedPolicyError(
                f"expected a witness's vkey, of type 0x04 or 0x06, got type 0x{key.key_type:02x}"
            )
        if any(key.public_key == witness.key.public_key for witness in self._witnesses):
            raise MalformedPolicyError(
                f"expected each witness key once, got {show(key.vkey)} again"
            )
        self._define(name)
        _append(self._witnesses, PolicyWitness(name, key, url))

    def _read_group(self, name: bytes, threshold: bytes, members: list[bytes]) -> None:
        count = len(members)
        least = {b"all": count, b"any": 1}.get(threshold)
        if least is None:
            least = parse_decimal(threshold)
        if not 1 <= least <= count:
            raise MalformedPolicyError(
                f"expected a threshold from 1 to the {count} members, got {least}"
            )
        for member in members:
            if self._names.get(member, True):
                raise MalformedPolicyError(
                    f"expected members defined above and in no group yet, got {show(member)}"
                )
            self._names[member] = True
        self._define(name)
        _append(self._groups, PolicyGroup(name, least, tuple(members)))

    def _read_quorum(self, name: bytes) -> None:
        if self._quorum is not None:
            raise MalformedPolicyError("expected one line of quorum, got a second one")
        if name != _NO_QUORUM and name not in self._names:
            raise MalformedPolicyError(
                f"expected a quorum of a witness or group defined above, got {show(name)}"
            )
        self._quorum = name

    def _define(self, name: bytes) -> None:
        if name == _NO_QUORUM or name in self._names:
            raise MalformedPolicyError(f"expected a name that is free, got {show(name)}")
        self._names[name] = False

    def _read_key(self, vkey: bytes) -> VerifierKey:
        try:
            key = parse_vkey(vkey.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MalformedPolicyError(f"expected a vkey in UTF-8, got {show(vkey)}") from error
        if self._keys.setdefault((key.name, key.key_id), key) != key:
            raise MalformedPolicyError(
                f"two keys share the name and id {key.name}+{key.key_id.hex()}"
            )
        return key


def _append(items: list[_Item], item: _Item) -> None:
    if len(items) == MAX_POLICY_ITEMS:
        raise MalformedPolicyError(
            f"expected at most {MAX_POLICY_ITEMS} logs, witnesses and groups each, got more"
        )
    items.append(item)
