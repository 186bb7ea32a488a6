"""Checkpoints: a tree head (origin, size, root) as the text of a signed note.

    example.com/log            origin
    20852163                   tree size, decimal
    CsUYapGG...q2I=            root hash, base64
    ...                        extension lines, if any; nothing is known about them

`parse_checkpoint` reads that text alone; `open_checkpoint` in signed_checkpoint.py takes the whole
signed note and verifies the log's signature first. Trust only what the second one gives.

Source: C2SP tlog-checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlog_proofs.errors import MalformedCheckpointError, MalformedError
from tlog_proofs.geometry import check_size
from tlog_proofs.hashing import EMPTY_ROOT
from tlog_proofs.note import check_text
from tlog_proofs.strict import decode_base64, encode_base64, parse_decimal, show
from tlog_proofs.verify import check_hash

MAX_ORIGIN_BYTES = 255
MAX_CHECKPOINT_BYTES = 1 << 16
"""Longest text of a checkpoint, extension lines included."""

_FIXED_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin (1 to 255 bytes), tree size, root hash (32 bytes), extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint: what a note's signatures sign, not the note.

    Raises:
        MalformedCheckpointError: it is none, or spells one otherwise than format_checkpoint does.
    """
    if len(text) > MAX_CHECKPOINT_BYTES:
        raise MalformedCheckpointError(
            f"expected a checkpoint text of at most {MAX_CHECKPOINT_BYTES} bytes, got {len(text)}"
        )
    if b"\n\n" in text:
        raise MalformedCheckpointError(
            "expected a checkpoint text without empty lines; for a signed note: open_checkpoint"
        )
    try:
        lines = check_text(text).split("\n")[:-1]
        if len(lines) < _FIXED_LINES:
            raise MalformedCheckpointError(
                f"expected origin, tree size and root hash, got {len(lines)} lines"
            )
        origin, size, root, *extensions = lines
        checkpoint = Checkpoint(
            origin, parse_decimal(size), decode_base64(root, size=32), tuple(extensions)
        )
    except MalformedCheckpointError:
        raise
    except MalformedError as error:
        raise MalformedCheckpointError(f"checkpoint: {error}") from error
    if format_checkpoint(checkpoint) != text:
        raise MalformedCheckpointError(f"expected the checkpoint's own spelling, got {show(text)}")
    return checkpoint


def format_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Write the text of a checkpoint, for note.sign_note; the inverse of parse_checkpoint.

    Raises:
        MalformedCheckpointError: a field cannot be one of a checkpoint.
    """
    try:
        check_size("tree size", checkpoint.size)
        check_hash(checkpoint.root)
        lines = (
            checkpoint.origin,
            str(checkpoint.size),
            encode_base64(checkpoint.root),
            *checkpoint.extensions,
        )
        text = "".join(f"{line}\n" for line in lines).encode("utf-8")
        check_text(text)
    except UnicodeEncodeError as error:
        raise MalformedCheckpointError(
            "expected an origin and extension lines of valid Unicode"
        ) from error
    except MalformedError as error:
        raise MalformedCheckpointError(f"checkpoint: {error}") from error
    check_origin_line(checkpoint.origin)
    if not all(lines) or text.count(b"\n") != len(lines) or len(text) > MAX_CHECKPOINT_BYTES:
        raise MalformedCheckpointError(
            f"expected lines without LF, none empty, {MAX_CHECKPOINT_BYTES} bytes in all"
        )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedCheckpointError(
            f"expected root {EMPTY_ROOT.hex()} at tree size 0, got {checkpoint.root.hex()}"
        )
    return text


def check_origin_line(origin: str) -> None:
    """Refuse an origin that no checkpoint can have: it is a line of 1 to 255 bytes.

    Raises:
        MalformedCheckpointError: it is otherwise, or has control characters or lone surrogates.
    """
    # Counting characters first keeps a long origin from being encoded at all.
    data = origin[: MAX_ORIGIN_BYTES + 1].encode("utf-8", "surrogatepass")
    if not 1 <= len(data) <= MAX_ORIGIN_BYTES:
        raise MalformedCheckpointError(
            f"expected an origin of 1 to {MAX_ORIGIN_BYTES} bytes, got {show(origin)}"
        )
    if "\n" in origin:
        raise MalformedCheckpointError(f"expected an origin of one line, got {show(origin)}")
    try:
        check_text(data + b"\n")
    except MalformedError as error:
        raise MalformedCheckpointError(f"origin: {error}") from error
