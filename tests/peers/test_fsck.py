"""Tessera's fsck rebuilds our logs from what they serve; damaged copies show that it would tell."""

from __future__ import annotations

import http
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.fsck import Fsck, FsckFailedError
from tests.peers.peer_log import PeerServer
from tests.peers.static_tiles import copy_log, resource_paths, serve_files
from tlog_proofs import MAX_ENTRY_BYTES, parse_signer_key, sign_note

pytestmark = pytest.mark.peers

# Around the widths of tiles of level 0 (256) and 1 (65,536); 70,000 has a partial tile on level 2.
SIZES = (1, 2, 255, 256, 257, 1_000, 65_535, 65_536, 65_537, 70_000)
COPY_SIZE = 600  # two full bundles and tiles, a partial one, and one of level 1


def test_fsck_accepts_a_growing_log_at_every_edge_size(server: PeerServer, fsck: Fsck) -> None:
    """The genesis alone, then each size up to 70,000: tiles, entries and root are one tree."""
    log = server.create_log("growing")
    for size in SIZES:
        head = log.grow_to(size)
        assert head.size == size
        assert fsck.accepts(log.url, log.vkey, head)


def test_fsck_accepts_entries_of_all_lengths(server: PeerServer, fsck: Fsck) -> None:
    """Entries of 0 bytes, of the most that the format has, of bytes that are no text."""
    log = server.create_log("lengths")
    lengths = [0, 0, 1, 255, 256, 257, MAX_ENTRY_BYTES - 1, MAX_ENTRY_BYTES]
    entries = [bytes(range(256)) * 257, *(b"\n" * length for length in lengths)]
    head = log.append([entry[:MAX_ENTRY_BYTES] for entry in entries])
    assert head.size == 1 + len(entries)
    assert fsck.accepts(log.url, log.vkey, head)


def test_fsck_reads_a_private_log_with_a_token_only(server: PeerServer, fsck: Fsck) -> None:
    """With the read token it passes; without one it is told 401 and fails."""
    log = server.create_log("private", public=False)
    head = log.grow_to(300)
    assert fsck.accepts(log.url, log.vkey, head, token=log.read_token)
    with pytest.raises(FsckFailedError, match=r"failed to fetch and verify checkpoint.*\b401\b"):
        fsck.check(log.url, log.vkey, origin=log.origin)


def test_resources_beyond_the_checkpoint_are_not_there(server: PeerServer) -> None:
    """What a peer falls back on: 404 for a partial tile or bundle that no checkpoint needs yet."""
    log = server.create_log("edge")
    log.grow_to(300)
    for path in ("tile/0/001.p/45", "tile/entries/001.p/45", "tile/0/001", "tile/1/000.p/2"):
        status, _ = log.ask(path)
        assert status == http.HTTPStatus.NOT_FOUND, path
    assert len(log.get("tile/0/001.p/44")) == 44 * 32


Damage = Callable[[Path], None]


def flip(path: str, offset: int) -> Damage:
    """Change one bit of a file."""

    def damage(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[offset] ^= 1
        (folder / path).write_bytes(data)

    return damage


def remove(path: str) -> Damage:
    """Take one file away."""
    return lambda folder: (folder / path).unlink()


DAMAGES = {
    "hash in a full tile": (flip("tile/0/001", 77), r"tile/0/001: log has"),
    "hash in a partial tile": (flip("tile/0/002.p/88", 88 * 32 - 1), r"tile/0/002\.p/88: log has"),
    "hash in a tile of level 1": (flip("tile/1/000.p/2", 0), r"tile/1/000\.p/2: log has"),
    "byte of an entry": (flip("tile/entries/000", 3_000), r"tile/\d/00\d[p./\d]*: log has"),
    "entries missing": (remove("tile/entries/001"), r"streaming bundles.*tile/entries/001"),
    "tile missing": (remove("tile/1/000.p/2"), r"failed: .*tile/1/000"),
}


@pytest.fixture(scope="module")
def pristine(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Files of a log, and its vkey."""
    log = server.create_log("copied")
    log.grow_to(COPY_SIZE)
    folder = tmp_path_factory.mktemp("files")
    copy_log(log, folder)
    assert {file.stat().st_size for file in folder.glob("tile/0/00?")} == {8_192}
    return folder, log.vkey


@pytest.fixture
def copy(pristine: tuple[Path, str], tmp_path: Path) -> Path:
    """A folder with the log's files, to be damaged."""
    folder = tmp_path / "copy"
    for path in ("checkpoint", *resource_paths(COPY_SIZE)):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((pristine[0] / path).read_bytes())
    return folder


ORIGIN = "peers.example/copied"


def test_fsck_accepts_an_undamaged_copy(pristine: tuple[Path, str], copy: Path, fsck: Fsck) -> None:
    """The control of the tests below: files alone pass."""
    with serve_files(copy) as url:
        size, _ = fsck.check(url, pristine[1], origin=ORIGIN)
    assert size == COPY_SIZE


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(name: str, pristine: tuple[Path, str], copy: Path, fsck: Fsck) -> None:
    """One bit or one file of a copy is wrong: the check fails, and names what is wrong."""
    damage, words = DAMAGES[name]
    damage(copy)
    with serve_files(copy) as url, pytest.raises(FsckFailedError) as failed:
        fsck.check(url, pristine[1], origin=ORIGIN)
    assert re.search(words, str(failed.value))


def test_wrong_root_is_found(
    server: PeerServer, pristine: tuple[Path, str], copy: Path, fsck: Fsck
) -> None:
    """A checkpoint with another root, well signed by the log's own key, fails."""
    lines = (copy / "checkpoint").read_bytes().split(b"\n")
    text = b"%s\n%s\n%s\n" % (lines[0], lines[1], b"A" * 43 + b"=")
    signer = parse_signer_key(server.log_key("copied"))
    (copy / "checkpoint").write_bytes(sign_note(text, [signer]))
    with serve_files(copy) as url, pytest.raises(FsckFailedError, match="but checkpoint claims 00"):
        fsck.check(url, pristine[1], origin=ORIGIN)


def test_wrong_key_and_wrong_origin_are_found(
    server: PeerServer, pristine: tuple[Path, str], copy: Path, fsck: Fsck
) -> None:
    """Neither another log's vkey nor another origin passes."""
    other = server.create_log("other")
    with serve_files(copy) as url:
        for vkey, origin in ((other.vkey, ORIGIN), (pristine[1], other.origin)):
            with pytest.raises(FsckFailedError, match="failed to parse Checkpoint"):
                fsck.check(url, vkey, origin=origin)


def test_hang_is_a_failure(pristine: tuple[Path, str], copy: Path, fsck: Fsck) -> None:
    """With more wrong tiles than workers fsck hangs: the time-out makes that a failure."""
    for path in resource_paths(COPY_SIZE):
        if "entries" not in path:
            flip(path, 0)(copy)
    with serve_files(copy) as url, pytest.raises(FsckFailedError, match=r"no end within 3\.0 s"):
        fsck.check(url, pristine[1], origin=ORIGIN, workers=1, timeout_s=3.0)
