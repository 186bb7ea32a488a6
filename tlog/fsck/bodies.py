"""The check of `bodies/`: months that must be there, keys within their month's entries."""

from __future__ import annotations

import re
from contextlib import closing

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, MonthSpan, Place, Report
from tlog.fsck.unreadable import check_opens
from tlog.store.base import StoredRows
from tlog.store.keys import U64_BYTES, pack_index, unpack_index
from tlog_proofs import KIND_OPAQUE

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_LEAVING = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\.(new|dropped)", re.ASCII)


def check_bodies(stored: StoredRows, kind: str, report: Report) -> None:
    """Check every month against report.months, and count the bodies.

    Raises:
        DamageError: names the first wrong row or month.
    """
    prefix = "bodies/"
    names = [name.removeprefix(prefix) for name in stored.databases() if name.startswith(prefix)]
    spans = {span.month: span for span in report.months}
    for month, span in spans.items():
        if month not in names:
            what = f"is missing, and entries [{span.start}, {span.end}) belong to it"
            raise DamageError(Place(f"bodies/{month}", "month of bodies"), what)
    for name in names:
        if _LEAVING.fullmatch(name):
            report.notes.append(f"bodies/{name} is left over from an interrupted change of months")
        elif not _MONTH.fullmatch(name):
            raise DamageError(Place(f"bodies/{name}", "month of bodies"), "expected YYYY-MM")
        else:
            _check_month(stored, spans.get(name) or MonthSpan(name, 0, 0), kind, report)


def _check_month(stored: StoredRows, span: MonthSpan, kind: str, report: Report) -> None:
    file = f"bodies/{span.month}"
    check_opens(stored, file, file)
    due = pack_index(span.start)
    leavings = 0
    with closing(stored.rows(file)) as rows:
        try:
            for key, _ in rows:
                due = key
                if len(key) != U64_BYTES:
                    what = f"expected a key of {U64_BYTES} bytes, got {len(key)}"
                    raise DamageError(Place(file, "body", key), what)
                index = unpack_index(key)
                place = Place(file, "body", key, index)
                if index >= report.size:
                    leavings += 1
                elif kind == KIND_OPAQUE:
                    raise DamageError(place, "an opaque log has no bodies")
                elif not span.start <= index < span.end:
                    raise DamageError(place, "that entry was committed in another month")
                else:
                    report.bodies += 1
        except StoreError as error:
            place = Place(file, "body at or after this key", due)
            raise DamageError(place, f"cannot be read ({error})") from error
    if leavings:
        report.notes.append(
            f"{file} holds {leavings} bodies beyond the size, left by a crash: "
            "the next commit removes them"
        )
