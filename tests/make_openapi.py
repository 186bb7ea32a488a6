"""Write tlog/api/openapi.json, which the server gives, from spec/openapi.yaml: `make openapi`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "spec" / "openapi.yaml"
PACKAGED = ROOT / "tlog" / "api" / "openapi.json"


def as_json() -> str:
    """The document as it is packaged."""
    document = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    PACKAGED.write_text(as_json(), encoding="utf-8")
