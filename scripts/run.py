"""`make run`: a log with real entries, served until interrupted.

Environment: LISTEN=HOST:PORT (127.0.0.1:8080), DATA=DIR (./data), SAMPLES=DIR (../shared/data where
it exists, else the lines of this repository's own history). Everything is done with the installed
`tlog` command, as an operator would. Run again on the same DATA, it appends only what is not there.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from samples import Samples, read_samples
from tlog_proofs import leaf_hash

ROOT = Path(__file__).resolve().parent.parent
TLOG = Path(sys.executable).with_name("tlog")
LOG = "audit"
ORIGIN = "localhost/audit"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
WAIT_S = 0.5


class RunError(Exception):
    """One sentence for whoever started us, and the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def tlog(*arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run one `tlog` command to its end and return what it printed; its own words on failure."""
    done = subprocess.run(
        [TLOG, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        check=False,
    )
    if done.returncode != 0:
        shown = shlex.join(["tlog", *map(str, arguments)])
        message = f"`{shown}` ended with exit code {done.returncode}"
        raise RunError(message, done.returncode)
    return done.stdout.decode().strip()


def set_up(data: Path) -> str:
    """Make the data directory and the log where they are missing; return the log's vkey."""
    if not data.exists() or (data.is_dir() and not any(data.iterdir())):
        tlog("init", "--data", data)
    for log in json.loads(tlog("log", "list", "--data", data, "--json")):
        if log["name"] == LOG:
            return str(log["vkey"])
    return tlog("log", "create", LOG, "--data", data, "--origin", ORIGIN)


@contextmanager
def server(data: Path, listen: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve `data` from a child process; yields its URL. Stops it on the way out."""
    command: list[str | Path] = [TLOG, "serve", "--data", data, "--listen", listen]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield wait_ready(child), child
    except KeyboardInterrupt:
        if code := stop(child):
            message = f"the server stopped with exit code {code}"
            raise RunError(message, code) from None
        raise
    finally:
        stop(child)


def wait_ready(child: subprocess.Popen[str]) -> str:
    """Read the child's output to its `ready:` line; return the URL in it."""
    for line in child.stdout or ():
        if line.startswith("ready:"):
            # What it prints later must not fill the pipe.
            threading.Thread(target=deque, args=(child.stdout, 0), daemon=True).start()
            return line.split()[1].rstrip("/")
        print(line, end="", file=sys.stderr)
    raise ended(child.wait(), "; DATA=DIR and LISTEN=HOST:PORT choose others")


def ended(code: int, hint: str = "") -> RunError:
    """What to say of a server that ended by itself."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return RunError(f"the server {how}{hint}", max(code, 1))


def stop(child: subprocess.Popen[str]) -> int:
    """Have the server stop, within its 10 s, not to be interrupted again; return its exit code."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    child.terminate()
    try:
        return child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@contextmanager
def asking(url: str, token: str) -> Iterator[Callable[[str], tuple[int, bytes]]]:
    """Yield a function from a path to status and body, over one connection."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)

    def get(path: str) -> tuple[int, bytes]:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    try:
        yield get
    except (OSError, http.client.HTTPException) as error:
        message = f"{url} does not answer: {error}"
        raise RunError(message, 3) from error
    finally:
        connection.close()


def wait_accepting(url: str, token: str) -> None:
    """Wait until the logs take appends; what they say after START_TIMEOUT_S otherwise."""
    with asking(url, token) as get:
        for _ in range(START_TIMEOUT_S * 10):
            status, body = get("/readyz")
            if status == http.client.OK:
                return
            time.sleep(0.1)
    message = f"the server takes no appends: {body.decode(errors='replace')}"
    raise RunError(message)


def find_index(url: str, token: str, lines: Sequence[bytes]) -> list[int | None]:
    """Ask the server where each line stands; None where it does not."""
    found: list[int | None] = []
    with asking(url, token) as get:
        for line in lines:
            path = f"/logs/{LOG}/leaf-hash/{leaf_hash(line).hex()}"
            status, body = get(path)
            if status not in {http.client.OK, http.client.NOT_FOUND}:
                message = f"{url}{path} answered {status}: {body.decode(errors='replace')}"
                raise RunError(message)
            found.append(json.loads(body)["index"] if status == http.client.OK else None)
    return found


def append_missing(url: str, token: str, options: Sequence[str], samples: Samples) -> int:
    """Append the lines that are not in the log; return the index of the last of all lines."""
    indexes = find_index(url, token, samples.lines)
    missing = [line for line, index in zip(samples.lines, indexes, strict=True) if index is None]
    present = len(samples.lines) - len(missing)
    if missing:
        tlog(
            "append", "--lines", *options, "-",
            stdin=b"".join(line + b"\n" for line in missing),
            env={"TLOG_TOKEN": token},
        )  # fmt: skip
    already = f", {present} were there already" if present else ""
    print(f"appended {len(missing)} entries from {samples.source}{already}")
    index = find_index(url, token, samples.lines[-1:])[0]
    if index is None:
        message = "the log does not know the entry that was just appended"
        raise RunError(message)
    return index


def prove_and_verify(
    folder: Path, token: str, options: Sequence[str], index: int, line: bytes
) -> str:
    """Save one entry and its proof, verify them offline; return the command that does it again."""
    vkey = options[options.index("--vkey") + 1]
    entry_file = folder / f"entry-{index}"
    proof_file = folder / f"entry-{index}.tlog-proof"
    entry_file.write_bytes(line)
    tlog("prove", str(index), *options, "-o", proof_file, env={"TLOG_TOKEN": token})
    verify = ["verify", str(proof_file), "--entry", str(entry_file), "--vkey", vkey]
    print(tlog(*verify))
    return shlex.join([".venv/bin/tlog", *verify])


def run(data: Path, listen: str, samples: Samples) -> NoReturn:
    """Set up, serve, fill, prove, announce; then wait for an interrupt or the server's end."""
    vkey = set_up(data)
    with server(data, listen) as (url, child):
        token = tlog(
            "token", "create", "--data", data, "--log", LOG, "--scope", "append", "--scope", "read"
        )
        log_url = f"{url}/logs/{LOG}"
        folder = data / "client"  # what a client keeps: its last verified head, a proof
        folder.mkdir(mode=0o700, exist_ok=True)
        options = ["--url", log_url, "--vkey", vkey, "--state", str(folder / "heads.json")]
        wait_accepting(url, token)
        index = append_missing(url, token, options, samples)
        verify = prove_and_verify(folder, token, options, index, samples.lines[-1])
        print(
            f"""
log    {log_url}
vkey   {vkey}
token  {token}

Try next:
  curl -H 'Authorization: Bearer {token}' {log_url}/entries/{index}
  {verify}
""",
            flush=True,
        )
        print(f"ready: {url}", flush=True)
        code = wait_for_end(child)
    raise ended(code)


def wait_for_end(child: subprocess.Popen[str]) -> int:
    """Wait for the server's end, in short waits: a signal just before a long one would be lost."""
    while True:
        try:
            return child.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            continue


def interrupt(_signal: int, _frame: object) -> None:
    """SIGTERM is treated as SIGINT."""
    raise KeyboardInterrupt


def main() -> int:
    """Run with the settings of the environment; 0 after an interrupt and a clean stop."""
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    data = Path(os.environ.get("DATA") or "data")
    listen = os.environ.get("LISTEN") or "127.0.0.1:8080"
    try:
        run(data, listen, read_samples(ROOT, os.environ.get("SAMPLES")))
    except KeyboardInterrupt:
        return 0
    except FileNotFoundError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"make run: {error}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
