"""Running vectors of control notes."""

from __future__ import annotations

import tlog_proofs
from tests.vectors.fields import Api, Case, expect_again, octets


def parse_control_note(api: Api, case: Case) -> Case:
    """Run a case of parse_control_note."""
    text = octets(case, "text")
    control = api.parse_control_note(text)
    expect_again(api.format_control_note, control, text)
    return _said(control)


def open_control_note(api: Api, case: Case) -> Case:
    """Run a case of open_control_note."""
    keys = [tlog_proofs.parse_vkey(vkey) for vkey in case["vkeys"]]
    return _said(api.open_control_note(octets(case, "note"), case["origin"], case["index"], keys))


def _said(control: tlog_proofs.ControlNote) -> Case:
    index = control.index if control.index < 2**53 else str(control.index)
    said: Case = {"origin": control.origin, "index": index}
    if hasattr(control, "vkeys"):
        return {**said, "vkeys": list(control.vkeys)}
    return {**said, "successor": control.successor}


OPERATIONS = {
    "open_control_note": open_control_note,
    "parse_control_note": parse_control_note,
}
