"""The commands in a document, run as they stand, with the replies that they get.

A document's ``console`` blocks hold commands, each after ``$``, and the output of each. A ``python`` block whose introduction
ends with ``NAME.py`:`` or ``NAME.py`.`` is saved as that file. Everything runs in the document's order, against one fresh engine.

    python -m tests.support.documents README.md docs/api.md       writes what the commands print today into the documents
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.processes import ROOT, chalice_local

WRITTEN_PORT = 8000
"""The port that documents name: the one of `make run`."""
WIDTH = 108
TIMEOUT_S = 60
PRICE_AGE_MS = "50"
"""Less than the time between a command that sets a price and an order: a reader's pastes are slower still."""

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"`(\w+\.py)`[.:]\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGES_EACH_TIME = [
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "TIME"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", "MINUTE"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "LOCAL TIME"),
        (r"Date: [^\n]*", "Date"),
        (r"Server: [^\n]*", "Server"),
        (r"\bThread-\d+ ", "Thread "),
        (r"\b[0-9a-f]{64}\b", "HEAD"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
        (r"\s+", ""),
    )
]


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with its output as it is printed in the document, or as it came."""

    text: str
    output: str

    @property
    def essence(self) -> str:
        """The output without what differs in every run, and without white space: a document folds long lines."""
        essence = self.output
        for pattern, shown in _CHANGES_EACH_TIME:
            essence = pattern.sub(shown, essence)
        return essence


def commands(block: str) -> Iterator[Command]:
    """Yields the commands of a block with their outputs. A command goes on after a backslash and within quotes."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.split("\n")
        length = next(n for n in range(1, len(lines) + 1) if _is_complete("\n".join(lines[:n])))
        yield Command("\n".join(lines[:length]), "\n".join(lines[length:]).strip("\n"))


def written(document: str) -> list[Command]:
    """Returns all commands of a document, as it has them."""
    return [command for block in _BLOCK.findall(document) for command in commands(block)]


def run(document: str, url: str, directory: Path) -> list[Command]:
    """Runs a document's commands in a directory, against an engine at `url`. Returns them with the outputs that came."""
    for name, program in _SAVED.findall(document):
        (directory / name).write_text(program.replace(f":{WRITTEN_PORT}", f":{urlsplit(url).port}"))
    return [Command(command.text, _output(command.text, url, directory)) for command in written(document)]


def rewritten(document: str, ran: list[Command]) -> str:
    """Returns the document with the outputs that came."""
    left = iter(ran)

    def block(found: re.Match[str]) -> str:
        lines = []
        for command in commands(found[1]):
            output = next(left).output
            lines += [f"$ {command.text}", *(_folded(line) for line in output.split("\n") if output)]
        return "\n".join(["```console", *lines, "```"])

    return _BLOCK.sub(block, document)


def _is_complete(text: str) -> bool:
    return not text.endswith("\\") and text.count("'") % 2 == 0


def _output(command: str, url: str, directory: Path) -> str:
    port = urlsplit(url).port
    done = subprocess.run(
        ["sh", "-c", command.replace(f":{WRITTEN_PORT}", f":{port}")],
        cwd=directory,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(directory), "HFT_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.stdout.replace(f":{port}", f":{WRITTEN_PORT}").replace("\r", "").strip("\n")


def _folded(line: str) -> str:
    """Returns a line folded after a comma where possible, or after a blank."""
    lines = []
    while len(line) > WIDTH:
        cut = max(line.rfind(", ", 40, WIDTH) + 1, line.rfind(",", 40, WIDTH) + 1) or line.rfind(" ", 20, WIDTH) or WIDTH
        lines.append(line[:cut])
        line = " " + line[cut:].lstrip(" ")
    return "\n".join([*lines, line])


def main() -> None:
    """Rewrites the documents that the command line names."""
    for name in sys.argv[1:]:
        path = ROOT / name
        document = path.read_text()
        with (
            tempfile.TemporaryDirectory() as scratch,
            chalice_local(Path(scratch) / "log", HFT_PRICE_AGE_MS=PRICE_AGE_MS) as server,
        ):
            directory = Path(scratch) / "work"
            directory.mkdir()
            path.write_text(rewritten(document, run(document, server.url, directory)))


if __name__ == "__main__":
    main()
