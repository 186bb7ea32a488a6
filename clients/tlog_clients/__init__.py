"""Clients of transparency logs, which verify every answer: read, append, prove, audit."""

from __future__ import annotations

from tlog_clients.appender import Appender
from tlog_clients.appender_errors import (
    AppenderClosedError,
    AppenderError,
    BufferFullError,
    EntrySetAsideError,
    SpoolDamagedError,
    SpoolError,
    SpoolLockedError,
    SpoolWriteError,
)
from tlog_clients.appender_options import AppenderOptions
from tlog_clients.appender_stats import AppenderStats, DeliveryState
from tlog_clients.appender_tickets import Committed, Ticket
from tlog_clients.async_log import AsyncLog
from tlog_clients.audit import AuditReport, audit_log
from tlog_clients.audit_progress import AuditProgress, ProgressStore
from tlog_clients.audit_run import Progress
from tlog_clients.entry_ids import (
    MAX_ENTRY_ID_CHARS,
    MalformedEntryIdError,
    check_entry_id,
    new_entry_id,
)
from tlog_clients.entry_proof import EntryProof, verify_entry
from tlog_clients.errors import (
    AuditMismatchError,
    BeyondSizeError,
    ConsistencyNotProvedError,
    EntryMismatchError,
    FetchError,
    FetchTimeoutError,
    ForkDetectedError,
    HttpStatusError,
    LogMisbehaviourError,
    MalformedAnswerError,
    NotReachableError,
    OutcomeUnknownError,
    Problem,
    StateFileError,
    TooLargeError,
    TrustedHeadChangedError,
)
from tlog_clients.fetch import Fetcher, HttpFetcher, PostAnswer, Poster
from tlog_clients.head_file import HeadFile, default_state_path
from tlog_clients.head_state import Step, TrustedHead, advance, consistency_sizes
from tlog_clients.head_store import HeadStore, MemoryHeads
from tlog_clients.log import Log
from tlog_clients.log_client import AppendResult, BatchResult, LogAccess, LogClient, Trust
from tlog_clients.log_reader import LogReader
from tlog_clients.log_trust import LogKey, LogTrust, TrustSource
from tlog_clients.log_url import MalformedUrlError, is_private_transport, is_tlog_url, parse_log_url
from tlog_clients.printable import printable
from tlog_clients.progress_file import ProgressFiles
from tlog_clients.receipts import AcceptingFetcher, fetch_receipt
from tlog_clients.retry import DEFAULT_RETRY_FOR_S, Retries, RetryPolicy
from tlog_clients.submission import (
    MAX_BATCH_BODY_BYTES,
    MAX_BATCH_ENTRIES,
    EntryTooLargeError,
    Submitted,
    SubmittedBatch,
    batch_line_bytes,
    submit_batch,
    submit_entry,
)
from tlog_clients.tile_cache import DEFAULT_CACHE_BYTES, TileCache, default_cache_path

__all__ = [
    "DEFAULT_CACHE_BYTES",
    "DEFAULT_RETRY_FOR_S",
    "MAX_BATCH_BODY_BYTES",
    "MAX_BATCH_ENTRIES",
    "MAX_ENTRY_ID_CHARS",
    "AcceptingFetcher",
    "AppendResult",
    "Appender",
    "AppenderClosedError",
    "AppenderError",
    "AppenderOptions",
    "AppenderStats",
    "AsyncLog",
    "AuditMismatchError",
    "AuditProgress",
    "AuditReport",
    "BatchResult",
    "BeyondSizeError",
    "BufferFullError",
    "Committed",
    "ConsistencyNotProvedError",
    "DeliveryState",
    "EntryMismatchError",
    "EntryProof",
    "EntrySetAsideError",
    "EntryTooLargeError",
    "FetchError",
    "FetchTimeoutError",
    "Fetcher",
    "ForkDetectedError",
    "HeadFile",
    "HeadStore",
    "HttpFetcher",
    "HttpStatusError",
    "Log",
    "LogAccess",
    "LogClient",
    "LogKey",
    "LogMisbehaviourError",
    "LogReader",
    "LogTrust",
    "MalformedAnswerError",
    "MalformedEntryIdError",
    "MalformedUrlError",
    "MemoryHeads",
    "NotReachableError",
    "OutcomeUnknownError",
    "PostAnswer",
    "Poster",
    "Problem",
    "Progress",
    "ProgressFiles",
    "ProgressStore",
    "Retries",
    "RetryPolicy",
    "SpoolDamagedError",
    "SpoolError",
    "SpoolLockedError",
    "SpoolWriteError",
    "StateFileError",
    "Step",
    "Submitted",
    "SubmittedBatch",
    "Ticket",
    "TileCache",
    "TooLargeError",
    "Trust",
    "TrustSource",
    "TrustedHead",
    "TrustedHeadChangedError",
    "advance",
    "audit_log",
    "batch_line_bytes",
    "check_entry_id",
    "consistency_sizes",
    "default_cache_path",
    "default_state_path",
    "fetch_receipt",
    "is_private_transport",
    "is_tlog_url",
    "new_entry_id",
    "parse_log_url",
    "printable",
    "submit_batch",
    "submit_entry",
    "verify_entry",
]
