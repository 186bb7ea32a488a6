"""What tlog_proofs imports: the standard library alone, until a package is needed."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

import tlog_proofs

CHECKPOINT = tlog_proofs.format_checkpoint(tlog_proofs.Checkpoint("o", 1, bytes(32)))
ML_DSA_KEY = tlog_proofs.MlDsa44CosignatureVerifier("name", bytes(1312))


def run_without(package: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python in which a package cannot be imported."""
    blocker = textwrap.dedent(
        f"""
        import sys
        from importlib.abc import MetaPathFinder

        class Blocker(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {package.split()!r}:
                    raise ImportError(name)

        sys.meta_path.insert(0, Blocker())
        """
    )
    return subprocess.run(
        [sys.executable, "-c", blocker + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_works_without_extras() -> None:
    """With neither cryptography nor cbor2 all but signatures and CBOR works, and those name it."""
    done = run_without(
        "cryptography cbor2",
        """
        import tlog_proofs as t

        vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        key = t.parse_vkey(vkey)
        assert key.vkey == vkey
        leaf = t.leaf_hash(b"entry")
        t.verify_inclusion(0, 1, leaf, [], leaf)
        text = t.format_checkpoint(t.Checkpoint("o", 1, leaf))
        assert t.parse_checkpoint(text).root == leaf
        note = t.format_note(text, [t.NoteSignature(key.name, key.key_id, bytes(64))])
        assert t.parse_note_unverified(note).text == text
        proof = t.TlogProof(0, (), note)
        assert t.parse_tlog_proof(t.format_tlog_proof(proof)) == proof

        def expect(package, extra, function, *arguments, **options):
            try:
                function(*arguments, **options)
            except t.MissingDependencyError as error:
                assert (error.package, error.extra) == (package, extra)
                assert f"tlog-proofs[{extra}]" in str(error)
            else:
                raise AssertionError(function)

        expect("cryptography", "signatures", key.verify, b"", b"")
        expect("cryptography", "signatures", t.open_note, note, [key])
        expect("cryptography", "signatures", t.Ed25519Signer, "name", bytes(32))
        private = f"PRIVATE+KEY+{vkey}"
        expect("cryptography", "signatures", t.parse_signer_key, private)
        expect("cbor2", "cbor", t.encode_cbor, 1)
        expect("cbor2", "cbor", t.decode_cbor, b"1", max_bytes=1)
        genesis = t.Genesis("example.com/foo", "opaque/1", 1, (vkey,))
        expect("cbor2", "cbor", t.format_genesis, genesis)
        expect("cbor2", "cbor", t.parse_genesis, b"1")
        expect("cbor2", "cbor", t.receipt_text, key, 2, leaf)
        expect("cbor2", "cbor", t.format_receipt, key, 0, 2, [leaf], b"")
        expect("cbor2", "cbor", t.verify_receipt, b"\\xd2", leaf, key)
        print("done")
        """,
    )
    assert done.stderr == ""
    assert done.stdout == "done\n"


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("cbor2", lambda: tlog_proofs.encode_cbor(1)),
        ("cryptography", lambda: tlog_proofs.Ed25519Signer("name", bytes(32))),
        ("cryptography", lambda: tlog_proofs.Ed25519Verifier("name", bytes(32)).verify(b"", b"")),
        ("cryptography", lambda: tlog_proofs.MlDsa44Cosigner("name", bytes(32))),
        ("cryptography", lambda: ML_DSA_KEY.verify(CHECKPOINT, bytes(2428))),
    ],
)
def test_a_missing_package_is_named(
    package: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function whose package is not there says which one to install, whoever calls it."""
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(tlog_proofs.MissingDependencyError, match=package):
        use()


def test_importing_loads_no_package_and_no_io() -> None:
    """Importing the package loads neither extra, nor any module that does I/O or knows the time."""
    done = run_without(
        "nothing",
        """
        before = set(sys.modules)
        import tlog_proofs
        print(*sorted(set(sys.modules) - before))
        """,
    )
    assert done.stderr == ""
    loaded = set(done.stdout.split())
    assert "tlog_proofs" in loaded
    forbidden = {"aiohttp", "asyncio", "cbor2", "cryptography", "datetime", "http", "pathlib"}
    forbidden |= {"random", "secrets", "socket", "ssl", "subprocess", "urllib"}
    assert {name.partition(".")[0] for name in loaded} & forbidden == set()


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(tlog_proofs.__path__)]
)
def test_modules_and_their_functions_are_described(name: str) -> None:
    """Each module, public class, function and property says what it is."""
    module = getattr(tlog_proofs, name)
    assert module.__doc__
    for member_name, member in inspect.getmembers(module):
        if member_name.startswith("_") or getattr(member, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(member) or inspect.isfunction(member):
            assert member.__doc__, member_name
