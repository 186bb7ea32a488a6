"""ML-DSA-44 written from FIPS 204, slow and deterministic: the oracle of keys and signatures.

Names are those of the standard. Signatures use the deterministic variant (rnd = 32 zero bytes) with
an empty context, so that vectors come out the same each time. For tests only: nothing here keeps
the time that it takes from telling of the key.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator

Q, D, TAU, GAMMA_1, GAMMA_2, ROWS, ETA, OMEGA = 8380417, 13, 39, 1 << 17, 95232, 4, 2, 80
BETA = TAU * ETA
ZETA = 1753

Poly = list[int]
Vector = list[Poly]


def _h(data: bytes, size: int) -> bytes:
    return hashlib.shake_256(data).digest(size)


def _reversed_bits(value: int) -> int:
    return int(f"{value:08b}"[::-1], 2)


ZETAS = [pow(ZETA, _reversed_bits(number), Q) for number in range(256)]


def _ntt(w: Poly) -> Poly:
    """Algorithm 41."""
    w = list(w)
    m, length = 0, 128
    while length >= 1:
        for start in range(0, 256, 2 * length):
            m += 1
            for j in range(start, start + length):
                t = ZETAS[m] * w[j + length]
                w[j], w[j + length] = (w[j] + t) % Q, (w[j] - t) % Q
        length //= 2
    return w


def _inverse_ntt(w: Poly) -> Poly:
    """Algorithm 42."""
    w = list(w)
    m, length = 256, 1
    while length < 256:
        for start in range(0, 256, 2 * length):
            m -= 1
            for j in range(start, start + length):
                t = w[j]
                w[j] = (t + w[j + length]) % Q
                w[j + length] = -ZETAS[m] * (t - w[j + length]) % Q
        length *= 2
    return [coefficient * pow(256, -1, Q) % Q for coefficient in w]


def _times(a: Poly, b: Poly) -> Poly:
    """Multiply coefficient by coefficient, as polynomials in the NTT domain are."""
    return [x * y % Q for x, y in zip(a, b, strict=True)]


def _plus(a: Poly, b: Poly) -> Poly:
    return [(x + y) % Q for x, y in zip(a, b, strict=True)]


def _minus(a: Poly, b: Poly) -> Poly:
    return [(x - y) % Q for x, y in zip(a, b, strict=True)]


def _centred(value: int, modulus: int) -> int:
    """Give value mod± modulus: the representative nearest to 0, the positive one of two."""
    value %= modulus
    return value if value <= modulus // 2 else value - modulus


def _norm(vector: Vector) -> int:
    return max(abs(_centred(value, Q)) for poly in vector for value in poly)


def _pack(poly: Poly, bits: int) -> bytes:
    """Algorithm 16: little-endian, `bits` each."""
    number = sum(value << bits * place for place, value in enumerate(poly))
    return number.to_bytes(len(poly) * bits // 8, "little")


def _sample(stream: Iterator[int], take: Callable[[Iterator[int]], list[int]]) -> Poly:
    """Take coefficients from a stream of bytes until there are 256."""
    poly: Poly = []
    while len(poly) < 256:
        poly += take(stream)
    return poly[:256]


def _rej_ntt_poly(seed: bytes) -> Poly:
    """Algorithm 30."""

    def take(stream: Iterator[int]) -> list[int]:
        value = next(stream) | next(stream) << 8 | (next(stream) & 0x7F) << 16
        return [value] if value < Q else []

    return _sample(iter(hashlib.shake_128(seed).digest(2000)), take)


def _rej_bounded_poly(seed: bytes) -> Poly:
    """Algorithm 31."""

    def take(stream: Iterator[int]) -> list[int]:
        byte = next(stream)
        return [ETA - half % 5 for half in (byte & 15, byte >> 4) if half < 15]

    return _sample(iter(_h(seed, 1000)), take)


def _sample_in_ball(seed: bytes) -> Poly:
    """Algorithm 29."""
    stream = iter(_h(seed, 2000))
    signs = int.from_bytes(bytes(next(stream) for _ in range(8)), "little")
    c = [0] * 256
    for i in range(256 - TAU, 256):
        j = next(byte for byte in stream if byte <= i)
        c[i] = c[j]
        c[j] = -1 if signs >> (i + TAU - 256) & 1 else 1
    return c


def _decompose(value: int) -> tuple[int, int]:
    """Algorithm 36: high bits, low bits."""
    value %= Q
    low = _centred(value, 2 * GAMMA_2)
    return (0, low - 1) if value - low == Q - 1 else ((value - low) // (2 * GAMMA_2), low)


class Key:
    """A key made of a seed (xi, 32 bytes): Algorithm 6."""

    def __init__(self, seed: bytes) -> None:
        expanded = _h(seed + bytes([ROWS, ROWS]), 128)
        rho, rho_prime, self.secret = expanded[:32], expanded[32:96], expanded[96:]
        self.matrix = [
            [_rej_ntt_poly(rho + bytes([s, r])) for s in range(ROWS)] for r in range(ROWS)
        ]
        polys = [_rej_bounded_poly(rho_prime + bytes([r, 0])) for r in range(2 * ROWS)]
        self.s1, s2 = [_ntt(poly) for poly in polys[:ROWS]], polys[ROWS:]
        self.s2 = [_ntt(poly) for poly in s2]
        t = [_plus(poly, noise) for poly, noise in zip(self._product(self.s1), s2, strict=True)]
        t0 = [[_centred(value, 1 << D) for value in poly] for poly in t]
        self.t0 = [_ntt(poly) for poly in t0]
        self.public_key = rho + b"".join(
            _pack([(value - low) >> D for value, low in zip(poly, lows, strict=True)], 10)
            for poly, lows in zip(t, t0, strict=True)
        )

    def _product(self, vector: Vector) -> Vector:
        """Multiply the matrix by a vector in the NTT domain, and leave the domain."""
        return [
            _inverse_ntt(functools.reduce(_plus, map(_times, row, vector))) for row in self.matrix
        ]

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        """Sign, with an empty context if it must be good: Algorithms 2 and 7."""
        signed = b"\x00" + bytes([len(context)]) + context + message
        mu = _h(_h(self.public_key, 64) + signed, 64)
        rho = _h(self.secret + bytes(32) + mu, 64)
        attempts = (self._attempt(mu, rho, ROWS * number) for number in range(1000))
        return next(signature for signature in attempts if signature is not None)

    def _attempt(self, mu: bytes, rho: bytes, kappa: int) -> bytes | None:
        y = [_mask(rho + (kappa + r).to_bytes(2, "little")) for r in range(ROWS)]
        w = self._product([_ntt(poly) for poly in y])
        high = [[_decompose(value)[0] for value in poly] for poly in w]
        challenge = _h(mu + b"".join(_pack(poly, 6) for poly in high), 32)
        c = _ntt(_sample_in_ball(challenge))
        z = [
            _plus(mask, _inverse_ntt(_times(c, poly)))
            for mask, poly in zip(y, self.s1, strict=True)
        ]
        rest = [
            _minus(poly, _inverse_ntt(_times(c, noise)))
            for poly, noise in zip(w, self.s2, strict=True)
        ]
        low = max(abs(_decompose(value)[1]) for poly in rest for value in poly)
        ct0 = [_inverse_ntt(_times(c, poly)) for poly in self.t0]
        hint = [
            [
                _decompose(value)[0] != _decompose(value + change)[0]
                for value, change in zip(poly, changes, strict=True)
            ]
            for poly, changes in zip(rest, ct0, strict=True)
        ]
        if _norm(z) >= GAMMA_1 - BETA or low >= GAMMA_2 - BETA or _norm(ct0) >= GAMMA_2:
            return None
        if sum(map(sum, hint)) > OMEGA:
            return None
        packed = b"".join(_pack([GAMMA_1 - _centred(v, Q) for v in poly], 18) for poly in z)
        return challenge + packed + _pack_hint(hint)


def _mask(seed: bytes) -> Poly:
    """Algorithm 34, one polynomial."""
    number = int.from_bytes(_h(seed, 576), "little")
    return [GAMMA_1 - (number >> 18 * place & 0x3FFFF) for place in range(256)]


def _pack_hint(hint: list[list[bool]]) -> bytes:
    """Algorithm 20."""
    places, ends = bytearray(), bytearray()
    for poly in hint:
        places += bytes(place for place, one in enumerate(poly) if one)
        ends.append(len(places))
    return bytes(places).ljust(OMEGA, b"\x00") + bytes(ends)
