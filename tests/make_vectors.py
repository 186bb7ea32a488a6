"""Write spec/vectors: `python -m tests.make_vectors`. The same files, byte for byte, each time.

Files whose names begin `printed-` hold values that RFCs and other specs print; they are kept by
hand and never written here.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.vectors import (
    checkpoints,
    control_notes,
    cosignature_messages,
    cosignatures,
    encodings,
    notes,
    policies,
    policy_checkpoints,
    proofs,
    receipts,
    stores,
    subtree_cosignatures,
    tiles,
)
from tests.vectors.runner import VECTORS

MAKERS = (
    proofs,
    tiles,
    notes,
    checkpoints,
    cosignatures,
    subtree_cosignatures,
    cosignature_messages,
    receipts,
    policies,
    policy_checkpoints,
    encodings,
    control_notes,
    stores,
)


def contents() -> dict[str, str]:
    """Make the text of every generated file, by its path below spec/vectors."""
    files = {}
    for maker in MAKERS:
        files.update(maker.files())
    return {
        name: json.dumps(content, indent=1, ensure_ascii=True) + "\n"
        for name, content in sorted(files.items())
    }


def write(folder: Path) -> None:
    """Write all generated files into a folder, and remove those that are generated no longer."""
    texts = contents()
    for path in folder.rglob("*.json"):
        if not path.name.startswith("printed-") and str(path.relative_to(folder)) not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(VECTORS)
