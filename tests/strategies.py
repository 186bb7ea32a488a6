"""Hypothesis strategies for what comes from outside, honest or not."""

from __future__ import annotations

from hypothesis import strategies as st

MAX_SIZE = 2**63 - 1


def hashes() -> st.SearchStrategy[bytes]:
    """Give any 32 bytes."""
    return st.binary(min_size=32, max_size=32)


def sizes(minimum: int = 1) -> st.SearchStrategy[int]:
    """Give tree sizes: small ones, ones around powers of two, and any up to 2^63-1."""
    near = st.builds(
        lambda exponent, offset: min(max(2**exponent + offset, minimum), MAX_SIZE),
        st.integers(0, 63),
        st.integers(-3, 3),
    )
    return st.one_of(st.integers(minimum, 300), near, st.integers(minimum, MAX_SIZE))


@st.composite
def sizes_with_index(draw: st.DrawFn) -> tuple[int, int]:
    """Give (index, size) with index < size."""
    size = draw(sizes())
    index = draw(st.one_of(st.integers(0, size - 1), st.sampled_from([0, size // 2, size - 1])))
    return index, size


@st.composite
def size_pairs(draw: st.DrawFn) -> tuple[int, int]:
    """Give (old, new) with 1 <= old <= new."""
    new = draw(sizes())
    old = draw(st.one_of(st.integers(1, new), st.sampled_from([1, (new + 1) // 2, new])))
    return old, new


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """Give an original with a few bytes changed, removed, repeated, cut off or put in."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 40)))
        kind = draw(st.sampled_from(["flip", "delete", "repeat", "insert", "cut", "special"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "delete":
            del data[at:until]
        elif kind == "repeat":
            data[at:at] = data[at:until]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif kind == "cut":
            del data[at:]
        else:
            special = [
                b"\n",
                b"\n\n",
                b"\r\n",
                b" ",
                b"+",
                b"=",
                b"0",
                b"\x00",
                b"\xff",
                b"x",
                b"/",
            ]
            data[at:at] = draw(st.sampled_from(special))
    return bytes(data)


def texts() -> st.SearchStrategy[str]:
    """Give any str, lone surrogates too, and short ones of the characters that formats use."""
    anything = st.characters(exclude_categories=())
    return st.one_of(
        st.text(anything, max_size=80),
        st.text("0123456789abcdefx+-=/._ \n\ud800\u0663\u2028", max_size=40),
    )


def blobs() -> st.SearchStrategy[bytes]:
    """Give any bytes, and texts in UTF-8 as far as they have it."""
    return st.one_of(
        st.binary(max_size=200), texts().map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
