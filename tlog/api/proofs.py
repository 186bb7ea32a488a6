"""Inclusion and consistency proofs, and where a leaf hash stands."""

from __future__ import annotations

from aiohttp import hdrs, web

from tlog.api.backend import LogBackend
from tlog.api.negotiation import choose_type
from tlog.api.parameters import path_hash, path_number, query
from tlog.api.requests import Request, list_header, log_of
from tlog.api.responses import (
    COSE,
    IMMUTABLE,
    JSON,
    NO_STORE,
    TEXT,
    bytes_response,
    caching,
    json_response,
    text_response,
)
from tlog.checkpoints import Published
from tlog.errors import NoReceiptError, NotPublishedError
from tlog_proofs import (
    Ed25519Verifier,
    TlogProof,
    format_receipt,
    format_tlog_proof,
    parse_vkey,
)


async def inclusion(request: Request) -> web.StreamResponse:
    """An inclusion proof in the tree of a given size."""
    query(request)
    log = log_of(request)
    index, size = path_number(request, "index"), path_number(request, "size")
    leaf_hash, proof = await log.inclusion(index, size)
    members = _inclusion_members(index, size, leaf_hash, proof)
    return json_response(members, cache=caching(log, IMMUTABLE))


async def inclusion_published(request: Request) -> web.StreamResponse:
    """An inclusion proof at the published checkpoint: JSON, a tlog-proof, or a COSE receipt."""
    query(request)
    log = log_of(request)
    chosen = choose_type(list_header(request, hdrs.ACCEPT), (JSON, TEXT, COSE))
    index = path_number(request, "index")
    published = await log.read_published()
    if index >= published.size:
        message = f"entry {index} is beyond the published size {published.size}"
        raise NotPublishedError(message)
    signature = _receipt_signature(published) if chosen == COSE else b""
    leaf_hash, proof = await log.inclusion(index, published.size)
    cache = caching(log, NO_STORE)
    if chosen == COSE:
        receipt = format_receipt(_log_key(log), index, published.size, proof, signature)
        response = bytes_response(receipt, cache=cache, media_type=COSE)
    elif chosen == TEXT:
        response = text_response(tlog_proof(index, proof, published), cache=cache)
    else:
        members = _inclusion_members(index, published.size, leaf_hash, proof)
        members["checkpoint"] = published.note.decode()
        response = json_response(members, cache=cache)
    response.headers[hdrs.VARY] = hdrs.ACCEPT
    return response


async def consistency(request: Request) -> web.StreamResponse:
    """A consistency proof between two sizes."""
    query(request)
    log = log_of(request)
    old, new = path_number(request, "old"), path_number(request, "new")
    proof = await log.consistency(old, new)
    members = {"old": old, "new": new, "proof": proof}
    return json_response(members, cache=caching(log, IMMUTABLE))


async def leaf(request: Request) -> web.StreamResponse:
    """One index at which a leaf hash stands."""
    query(request)
    log = log_of(request)
    index = await log.find_leaf(path_hash(request, "hex"))
    return json_response({"index": index}, cache=caching(log, NO_STORE))


def tlog_proof(index: int, proof: tuple[bytes, ...], published: Published) -> bytes:
    """The C2SP tlog-proof of an entry under a published checkpoint."""
    return format_tlog_proof(TlogProof(index=index, proof=proof, checkpoint=published.note))


def _receipt_signature(published: Published) -> bytes:
    """The signature that the publisher made for the receipts under a checkpoint: none is made now.

    Raises:
        NoReceiptError: there is none, or the tree has one entry only.
    """
    if published.size == 1:
        message = "the only entry of a tree has no receipt (RFC 9942): append another one"
        raise NoReceiptError(message)
    if published.receipt_signature is None:
        message = (
            f"the checkpoint of size {published.size} was published before there were receipts: "
            "there is one from the next publication on"
        )
        raise NoReceiptError(message)
    return published.receipt_signature


def _log_key(log: LogBackend) -> Ed25519Verifier:
    key = parse_vkey(log.row.vkey)
    if isinstance(key, Ed25519Verifier):
        return key
    message = "a log of ours signs with Ed25519"
    raise AssertionError(message)


def _inclusion_members(
    index: int, size: int, leaf_hash: bytes, proof: tuple[bytes, ...]
) -> dict[str, object]:
    return {
        "index": index,
        "size": size,
        "leaf_hash": leaf_hash,
        "proof": proof,
    }
