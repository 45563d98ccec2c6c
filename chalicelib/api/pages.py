"""Swagger UI, served by the app itself: a page and three assets, two of them from a package.

Every reference is relative, so the page works at the root, behind an API Gateway stage and under a custom domain's path.
"""

from functools import cache

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HFT Trading Engine</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{root}docs/swagger-ui-bundle.js"></script>
<script src="{root}docs/start.js"></script>
</body>
</html>
"""

START = """const script = document.currentScript.src;
SwaggerUIBundle({
  url: new URL('../openapi.json', script).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
});
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

CONTENT_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
}


def page(path: str) -> str:
    """Returns the page. Its references are relative to `path`, the path that the browser requested."""
    return PAGE.format(root="../" if path.endswith("/") else "")


@cache
def asset(name: str) -> tuple[str, str] | None:
    """Returns an asset's content and content type; `None` for an unknown name."""
    content_type = CONTENT_TYPES.get(name)
    if content_type is None:
        return None
    if name == "start.js":
        return START, content_type
    from swagger_ui_bundle import swagger_ui_path  # nothing that trades needs it

    return swagger_ui_path.joinpath(name).read_text(encoding="utf-8"), content_type
