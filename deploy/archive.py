"""The functions' code, as Lambda gets it: without what no request needs, and compiled.

Chalice packages all of chalicelib and every file of every distribution in requirements.txt: of botocore the description of each
AWS service (see `deploy.service_data` for what is kept of it), of Swagger UI its source maps and variants. Where Lambda
unpacks it nothing can be written, so byte code has to be there from the start, or each cold start would compile every module.
"""

import compileall
import fnmatch
import py_compile
import tempfile
import zipfile
from pathlib import Path

from deploy import service_data

WHERE_LAMBDA_UNPACKS = "/var/task"

ONLY_LOCAL = "chalicelib/local/*"
"""The room for a machine without AWS. No package carries it, so an import of it fails in the rehearsal and not on a stage."""

KEPT_OF = {
    "botocore/data/*/*": service_data.SERVICES,
    "swagger_ui_bundle/vendor/*/*": ("swagger-ui-bundle.js", "swagger-ui.css"),
}
"""Names by pattern: a file that matches the pattern is kept only if its path contains one of the names."""

FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a zip file. Every file gets it: the same content makes the same archive."""


def trim(source: Path, destination: Path) -> Path:
    """Rewrites the archive that Chalice made, and returns where it is now."""
    with tempfile.TemporaryDirectory() as unpacked:
        root = Path(unpacked)
        with zipfile.ZipFile(source) as archive:
            archive.extractall(root, [name for name in archive.namelist() if is_needed(name)])
        botocore_data = root / "botocore" / "data"
        if botocore_data.exists():
            service_data.trim(botocore_data)
        # The interpreter that runs this is the one that Chalice deploys for. Lambda never looks whether a source is newer.
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
