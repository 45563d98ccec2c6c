"""The console, served by the app itself: a page, a style sheet and ES modules, without a build step and without a CDN.

Every reference is relative, so the page works at the root, behind an API Gateway stage and under a custom domain's path.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

FILES = Path(__file__).parent
PAGE = "index.html"
CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


@cache
def release() -> str:
    """Returns the name of this set of files, made of their contents: a browser never mixes the files of two releases."""
    digest = sha256()
    for path in sorted(FILES.iterdir()):
        if path.suffix in CONTENT_TYPES or path.name == PAGE:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def page(path: str) -> str:
    """Returns the page. Its references are relative to `path`, the path that the browser requested (``/dev``, ``/dev/``)."""
    last = path.rpartition("/")[2]
    return _text(PAGE).replace("{root}", f"{last}/" if last else "").replace("{release}", release())


def asset(of_release: str, name: str) -> tuple[str, str] | None:
    """Returns a file's content and content type; `None` for an unknown name, or another release's."""
    path = FILES / name
    content_type = CONTENT_TYPES.get(path.suffix)
    if of_release != release() or content_type is None or path.parent != FILES or not path.is_file():
        return None
    return _text(name), content_type


@cache
def _text(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")
