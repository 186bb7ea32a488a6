"""Vectors of what is no COSE receipt."""

from __future__ import annotations

from typing import Any

from tests.vectors.keys import LOG, ORIGIN
from tests.vectors.receipt_bytes import (
    ALGORITHM,
    CONSISTENCY,
    INCLUSION,
    INDEX,
    NULL,
    PATH,
    PROOFS,
    ROOT,
    SIZE,
    VDS,
    array,
    bstr,
    encoded_proof,
    inclusion,
    issuer,
    mapping,
    protected,
    sign,
    sign1,
    thumbprint,
    tree_size,
    tstr,
    unprotected,
)

Case = dict[str, Any]


def cases() -> list[Case]:
    """Make the cases, the first of them a good one."""
    header, signature = protected(), sign(protected(), ROOT)
    one = encoded_proof(SIZE, INDEX, PATH)
    proofs = unprotected(INCLUSION, one)
    good = inclusion()
    kid, claims, size = b"\x04" + bstr(thumbprint(LOG)), issuer(ORIGIN), tree_size(SIZE)
    plain = mapping(ALGORITHM, VDS)
    hash_31 = [PATH[0][:31], *PATH[1:]]
    headers = {
        "no protected header": b"",
        "a protected header that is a list": array(b"\x01"),
        "a protected header with bytes after it": header + b"\x00",
        "a protected label given twice": mapping(ALGORITHM, ALGORITHM, VDS),
        "a longer form in the protected header": mapping(b"\x01\x38\x07", VDS),
        "a protected header of indefinite length": b"\xbf" + ALGORITHM + VDS + b"\xff",
        "no algorithm": mapping(kid, claims, VDS, size),
        "an algorithm that is text": mapping(b"\x01" + tstr("EdDSA"), VDS),
        "no verifiable data structure": mapping(ALGORITHM, kid, claims, size),
        "another verifiable data structure": mapping(ALGORITHM, b"\x19\x01\x8b\x02"),
        "a verifiable data structure that is true": mapping(ALGORITHM, b"\x19\x01\x8b\xf5"),
        "label -111 of older drafts": mapping(ALGORITHM, b"\x38\x6e\x01"),
        "no critical label where there must be one": mapping(ALGORITHM, b"\x02\x80", VDS),
        "critical labels that are no list": mapping(ALGORITHM, b"\x02\x01", VDS),
        "a critical label that is not known": mapping(
            ALGORITHM, b"\x02" + array(b"\x18\x63"), b"\x18\x63\x00", VDS
        ),
        "a critical label that is not there": mapping(ALGORITHM, b"\x02" + array(b"\x0f"), VDS),
        "a critical label that is a list": mapping(ALGORITHM, b"\x02" + array(b"\x80"), VDS),
        "claims that are no map": mapping(ALGORITHM, b"\x0f" + tstr(ORIGIN), VDS),
        "an issuer that is no text": mapping(
            ALGORITHM, b"\x0f" + mapping(b"\x01" + bstr(b"a")), VDS
        ),
        "a tree size that is text": mapping(ALGORITHM, VDS, tree_size(0)[:-1] + tstr("13")),
        "a tree size that is another": protected(12),
    }
    shapes = {
        "nothing": b"",
        "the tag alone": b"\xd2",
        "no tag": good[1:],
        "tag 17": b"\xd1" + good[1:],
        "tag 18 in a longer form": b"\xd8\x12" + good[1:],
        "the tag twice": b"\xd2" + good,
        "a byte at the end": good + b"\x00",
        "a byte missing": good[:-1],
        "three fields": b"\xd2" + array(bstr(header), proofs, NULL),
        "five fields": b"\xd2" + array(bstr(header), proofs, NULL, bstr(signature), NULL),
        "a list of indefinite length": b"\xd2\x9f" + good[2:] + b"\xff",
        "a map in place of the list": b"\xd2" + mapping(b"\x01" + bstr(header), b"\x02" + proofs),
        "a protected header outside a byte string": b"\xd2"
        + array(header, proofs, NULL, bstr(signature)),
        "an unprotected header that is a list": sign1(header, array(proofs), signature),
        "an unprotected header in a byte string": sign1(header, bstr(proofs), signature),
        "a payload that is text": sign1(header, proofs, signature, tstr("root")),
        "a payload that is a number": sign1(header, proofs, signature, b"\x00"),
        "a signature that is null": b"\xd2" + array(bstr(header), proofs, NULL, NULL),
        "the algorithm in both headers": sign1(
            header, mapping(ALGORITHM, PROOFS + mapping(INCLUSION + array(one))), signature
        ),
        "the structure unprotected": sign1(
            mapping(ALGORITHM),
            mapping(VDS, PROOFS + mapping(INCLUSION + array(one))),
            sign(mapping(ALGORITHM), ROOT),
        ),
        "unprotected labels in another order": sign1(
            header, mapping(PROOFS + mapping(INCLUSION + array(one)), b"\x05\x00"), signature
        ),
        "no proofs": sign1(plain, mapping(), signature),
        "proofs under label -222 of older drafts": sign1(
            plain, mapping(b"\x38\xdd" + mapping(INCLUSION + array(one))), signature
        ),
        "proofs that are a list": sign1(plain, mapping(PROOFS + array(one)), signature),
        "proofs of no kind": sign1(plain, mapping(PROOFS + mapping()), signature),
        "proofs of an unknown kind": sign1(plain, unprotected(b"\x22", one), signature),
        "proofs of both kinds": sign1(
            plain,
            mapping(PROOFS + mapping(INCLUSION + array(one), CONSISTENCY + array(one))),
            signature,
        ),
        "an empty list of proofs": sign1(plain, unprotected(INCLUSION), signature),
        "one proof outside a list": sign1(
            plain, mapping(PROOFS + mapping(INCLUSION + one)), signature
        ),
        "seventeen proofs": inclusion(None, *[one] * 17),
    }
    of_proofs = {
        "a proof in a text string": tstr("a proof"),
        "a proof outside a byte string": array(b"\x0d", b"\x05", array(*map(bstr, PATH))),
        "a proof that is no CBOR": bstr(b"\xff"),
        "a proof with bytes after it": bstr(one[2:] + b"\x00"),
        "a proof of two fields": bstr(array(b"\x0d", b"\x05")),
        "a proof of four fields": bstr(array(b"\x0d", b"\x05", array(), array())),
        "a negative size": bstr(array(b"\x20", b"\x05", array(*map(bstr, PATH)))),
        "a negative index": bstr(array(b"\x0d", b"\x20", array(*map(bstr, PATH)))),
        "a size of 2^63": encoded_proof(2**63, INDEX, PATH),
        "an index of 2^63": encoded_proof(SIZE, 2**63, PATH),
        "a size that is true": bstr(array(b"\xf5", b"\x05", array(*map(bstr, PATH)))),
        "an index in a longer form": bstr(array(b"\x0d", b"\x18\x05", array(*map(bstr, PATH)))),
        "a path that is one hash": bstr(array(b"\x0d", b"\x05", bstr(PATH[0]))),
        "a hash of 31 bytes": encoded_proof(SIZE, INDEX, hash_31),
        "a hash that is text": bstr(array(b"\x0d", b"\x05", array(tstr("a" * 32)))),
        "sixty-five hashes": encoded_proof(SIZE, INDEX, [ROOT] * 65),
    }
    bytes_ = (
        {what: inclusion(header_) for what, header_ in headers.items()}
        | shapes
        | {what: inclusion(plain, proof) for what, proof in of_proofs.items()}
    )
    least = encoded_proof(2**63 - 1, 0, [ROOT] * 64)
    good_cases = [
        _good("as logs of ours write it", good, ORIGIN, SIZE, [INDEX, SIZE, PATH]),
        _good(
            "sixty-four hashes, size 2^63-1: bounds of what is read, not of what can be true",
            inclusion(plain, least),
            None,
            None,
            [0, str(2**63 - 1), [ROOT] * 64],
        ),
    ]
    return good_cases + [
        {"desc": what, "input": {"receipt": receipt.hex()}, "wantErr": "MalformedReceiptError"}
        for what, receipt in bytes_.items()
    ]


def _good(
    what: str, receipt: bytes, origin: str | None, size: int | None, proof: list[Any]
) -> Case:
    first, second, path = proof
    return {
        "desc": what,
        "input": {"receipt": receipt.hex()},
        "expected": {
            "algorithm": -8,
            "issuer": origin,
            "signed_size": size,
            "inclusion": [[first, second, [value.hex() for value in path]]],
            "consistency": [],
        },
    }
