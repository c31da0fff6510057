"""Members of an ensemble that outlive the process: a folder with a file for each that is done.

A file says what its member is: its network and fit options, and the data. Only the same member is
taken from it; of another one the differences are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fanin import checkpoint
from fanin._files import make_folder, reading
from fanin._json import differences, loggable, plain
from fanin._typing import PathLike
from fanin.callbacks import History
from fanin.ensemble.members import Member
from fanin.executors import Arrays
from fanin.network import MLP

# What changes no bit of a member.
FREE = ("n_threads", "progress")


@dataclass(frozen=True)
class Folder:
    """Where members are kept, if anywhere, and whether those that are there are taken up."""

    path: PathLike | None = None
    resume: bool = True


class KeptMembers:
    """The folder of an ensemble's members; without a path, nothing."""

    def __init__(self, folder: Folder, members: Sequence[Member], arrays: Arrays) -> None:
        self.folder: Path | None = None if folder.path is None else Path(folder.path)
        self.identities: list[dict[str, Any]] = []
        if self.folder is None:
            return
        data = plain(arrays)
        self.identities = [_identity(member) | {"data": data} for member in members]
        make_folder(self.folder)
        there = [i for i in range(len(members)) if self.path(i).exists()]
        if there and not folder.resume:
            raise ValueError(
                f"checkpoint: {self.path(there[0])} is there already; resume=True goes on with it, "
                "another folder begins anew"
            )

    def path(self, member: int) -> Path:
        assert self.folder is not None
        return self.folder / f"member-{member}.fanin"

    def read(self) -> dict[int, tuple[MLP, History]]:
        """The members that an earlier process has left; a ValueError for those of others."""
        numbers = range(len(self.identities))
        return {i: self._member(i) for i in numbers if self.path(i).exists()}

    def _member(self, member: int) -> tuple[MLP, History]:
        path = self.path(member)
        header, arrays = checkpoint.load_archive(path, kind="member")
        with reading(path, "expected a member of an ensemble"):
            there, net = header["member"], MLP.__new__(MLP)
            if there == self.identities[member]:
                net.__setstate__({**header["network"], "arrays": arrays})
                return net, History.from_dict(header["history"])
        told = "; ".join(differences(there, self.identities[member]))
        raise ValueError(f"checkpoint: {path} is a member of another ensemble: {told}")

    def write(self, member: int, outcome: tuple[MLP, History]) -> None:
        """Keeps a member that is trained."""
        if self.folder is None:
            return
        net, history = outcome
        state = net.__getstate__()
        arrays: Mapping[str, Any] = state.pop("arrays")
        header = {"kind": "member", "member": self.identities[member], "network": state}
        header |= {"history": history.to_dict()}
        checkpoint.save_archive(self.path(member), header, arrays)


def _identity(member: Member) -> dict[str, Any]:
    given = {
        "network": member.network,
        "fit": {name: value for name, value in member.fit.items() if name not in FREE},
        "rows": {} if member.rows is None else asdict(member.rows),
    }
    facts = {name: value for part in given.values() for name, value in sorted(part.items())}
    for name, value in facts.items():
        loggable(name, value)
    return {name: plain(dict(sorted(part.items()))) for name, part in given.items()}
