"""The functions' code as Lambda gets it: compiled, and without files that no request needs.

Chalice packages all of chalicelib and every file of each distribution in requirements.txt. That includes botocore's description
of each AWS service (`deploy.service_data` trims it) and Swagger UI's source maps and variants. Lambda cannot write to the code's
directory, so the archive contains the byte code; otherwise each cold start would compile every module.
"""

import compileall
import fnmatch
import py_compile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from deploy import service_data

WHERE_LAMBDA_UNPACKS = "/var/task"

ONLY_LOCAL = "chalicelib/local/*"
"""The package for machines without AWS. No archive contains it, so a wrong import fails in the rehearsal and not on a stage."""

KEPT_OF = {
    "botocore/data/*/*": service_data.SERVICES,
    "swagger_ui_bundle/vendor/*/*": ("swagger-ui-bundle.js", "swagger-ui.css"),
}
"""The names to keep, by pattern: a file that matches the pattern is kept only if its path contains one of the names."""

FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The earliest time in a zip file. Every file gets it, so that the same content makes the same archive."""


def trim(source: Path, destination: Path, added: Mapping[str, str]) -> Path:
    """Rewrites the archive that Chalice made, with further files by name, and returns the new archive's path."""
    with tempfile.TemporaryDirectory() as unpacked:
        root = Path(unpacked)
        with zipfile.ZipFile(source) as archive:
            archive.extractall(root, [name for name in archive.namelist() if is_needed(name)])
        for name, text in added.items():
            (root / name).write_text(text)
        botocore_data = root / "botocore" / "data"
        if botocore_data.exists():
            service_data.trim(botocore_data)
        # Chalice deploys for the Python that runs it. The byte code is unchecked: on Lambda no source ever changes.
        compileall.compile_dir(
            root,
            quiet=1,
            stripdir=unpacked,
            prependdir=WHERE_LAMBDA_UNPACKS,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), FIRST_DAY)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return destination


def is_needed(name: str) -> bool:
    """Returns whether a file, by its path in the archive, is needed on Lambda."""
    return not fnmatch.fnmatch(name, ONLY_LOCAL) and all(
        any(kept in name.split("/") for kept in kept_names)
        for pattern, kept_names in KEPT_OF.items()
        if fnmatch.fnmatch(name, pattern)
    )
