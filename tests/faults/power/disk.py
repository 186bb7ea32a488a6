"""A disk as the record describes it: what is durable, what is not yet, and what a cut leaves.

Bytes become durable by fsync or fdatasync of their file, names by fsync of their directory; a
sync covers what came before its begin, from its end on. What is pending at the cut survives as
the model says:

ordered    as on ext4 and btrfs: of each file a prefix of its pending bytes, of each directory a
           prefix of its pending changes; fsync of a new file also keeps the name it was made
           under (LevelDB relies on that: it syncs no directory after making a WAL).
reordered  as on XFS: any pages of the pending bytes, with zeros where a page before others is
           missing; names as above.
strict     what POSIX alone allows: any pages, any subset of the pending changes of names, and no
           name is kept by fsync of its file.

Hard links and renames between directories are not modelled: playing one is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.faults.power import record
from tests.faults.power.record import Call

# What LevelDB writes about itself goes through stdio, past the shim; nothing reads it.
LEVELDB_LOGS = ("LOG", "LOG.old")


@dataclass(frozen=True, slots=True)
class Model:
    """What a file system may do; the module's docstring says what each one does."""

    name: str
    fsync_keeps_name: bool
    any_name: bool
    any_page: bool


ORDERED = Model("ordered", fsync_keeps_name=True, any_name=False, any_page=False)
REORDERED = Model("reordered", fsync_keeps_name=True, any_name=False, any_page=True)
STRICT = Model("strict", fsync_keeps_name=False, any_name=True, any_page=True)


@dataclass(frozen=True, slots=True)
class Change:
    """A pending write of data at offset; data None: a truncation to offset bytes."""

    number: int
    offset: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        """Change the content."""
        if self.data is None:
            del content[self.offset :]
        content.extend(bytes(max(0, self.offset - len(content))))
        if self.data is not None:
            content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(eq=False)
class File:
    """A file; home is the directory that it was made in."""

    home: Directory
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)


@dataclass(eq=False)
class Directory:
    """A directory: the names that a running program sees, and those that are durable."""

    current: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)


Node = File | Directory


@dataclass(frozen=True, slots=True)
class Naming:
    """A pending change of names: `gone` no longer names the node, `name` names it."""

    number: int
    node: Node
    gone: str | None
    name: str | None

    def apply(self, names: dict[str, Node]) -> None:
        """Change the names."""
        if self.gone is not None and names.get(self.gone) is self.node:
            del names[self.gone]
        if self.name is not None:
            names[self.name] = self.node


class Disk:
    """The files below one directory, call by call."""

    def __init__(self, machine: Path, model: Model) -> None:
        self._machine = PurePosixPath(machine)
        self.model = model
        self.root = Directory()
        self.mapped: set[str] = set()  # paths that were mapped shared for writing
        self._number = 0
        self._open: dict[int, tuple[str, Node]] = {}
        self._syncing: dict[int, tuple[Node, int]] = {}

    def play(self, call: Call) -> tuple[str, bytes] | None:
        """Follow one call; of a write the path as opened (below the machine) and the bytes."""
        self._number += 1
        kind = call.kind
        if kind in (record.OPEN, record.CREATE):
            self._open_file(call)
        elif kind in (record.WRITE, record.TRUNCATE):
            return self._change(call)
        elif kind in (record.SYNC_BEGIN, record.SYNC_END):
            self._sync(call)
        elif kind in (record.RENAME, record.UNLINK, record.RMDIR, record.MKDIR):
            self._rename(call)
        elif kind == record.CLOSE:
            del self._open[call.descriptor]
        elif kind == record.MAP:
            self.mapped.add(self._open[call.descriptor][0])
        elif kind == record.START:
            self._open.clear()
            self._syncing.clear()
        return None

    def files(self) -> Iterator[tuple[str, File]]:
        """The files by path, as a running program sees them."""
        return (found for found in walk(self.root) if isinstance(found[1], File))  # type: ignore[misc]

    def directories(self) -> Iterator[tuple[str, Directory]]:
        """The directories by path, as a running program sees them."""
        return (found for found in walk(self.root) if isinstance(found[1], Directory))  # type: ignore[misc]

    def _open_file(self, call: Call) -> None:
        path = self._relative(call.path)
        directory, name = self._find(path)
        if call.kind == record.CREATE and name not in directory.current:
            file = File(directory)
            self._name(directory, Naming(self._number, file, None, name))
        node = directory.current[name] if name else directory
        self._open[call.descriptor] = (str(path), node)

    def _change(self, call: Call) -> tuple[str, bytes]:
        path, file = self._open[call.descriptor]
        if not isinstance(file, File):
            raise TypeError(path)
        data = call.data if call.kind == record.WRITE else None
        file.pending.append(Change(self._number, call.number, data))
        return path, call.data

    def _sync(self, call: Call) -> None:
        if call.kind == record.SYNC_BEGIN:
            self._syncing[call.descriptor] = (self._open[call.descriptor][1], self._number)
            return
        node, number = self._syncing.pop(call.descriptor)
        if isinstance(node, Directory):
            keep_names(node, [naming for naming in node.pending if naming.number <= number])
            return
        while node.pending and node.pending[0].number <= number:
            node.pending.pop(0).apply(node.durable)
        if self.model.fsync_keeps_name:
            made = [n for n in node.home.pending if n.node is node and n.gone is None]
            keep_names(node.home, [naming for naming in made if naming.number <= number])

    def _rename(self, call: Call) -> None:
        directory, name = self._find(self._relative(call.path))
        if call.kind == record.MKDIR:
            self._name(directory, Naming(self._number, Directory(), None, name))
            return
        if name in LEVELDB_LOGS:
            return
        new = None
        if call.kind == record.RENAME:
            target, new = self._find(self._relative(call.data.decode()))
            if target is not directory:
                message = f"a rename between directories: {call.path}"
                raise NotImplementedError(message)
        self._name(directory, Naming(self._number, directory.current[name], name, new))

    @staticmethod
    def _name(directory: Directory, naming: Naming) -> None:
        naming.apply(directory.current)
        directory.pending.append(naming)

    def _relative(self, path: str) -> PurePosixPath:
        return PurePosixPath(path).relative_to(self._machine)

    def _find(self, path: PurePosixPath) -> tuple[Directory, str]:
        """The directory that holds a path, and its name there; an empty name is the root."""
        directory = self.root
        for part in path.parts[:-1]:
            node = directory.current[part]
            if not isinstance(node, Directory):
                raise TypeError(path)
            directory = node
        return directory, path.name


def keep_names(directory: Directory, kept: list[Naming]) -> None:
    """Make pending changes of names durable."""
    for naming in kept:
        naming.apply(directory.durable)
        directory.pending.remove(naming)


def walk(directory: Directory, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """All nodes below a directory with their paths, the directory itself included."""
    yield prefix, directory
    for name, node in directory.current.items():
        path = f"{prefix}/{name}" if prefix else name
        if isinstance(node, Directory):
            yield from walk(node, path)
        else:
            yield path, node
