"""Swagger UI, served by the app itself: a page and four assets, two of them from a package.

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
<link rel="stylesheet" href="{root}docs/start.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{root}docs/swagger-ui-bundle.js"></script>
<script src="{root}docs/start.js"></script>
</body>
</html>
"""

START = """const script = document.currentScript.src;

// Dark where the system is, or where the console was told to be.
const system = matchMedia('(prefers-color-scheme: dark)');
const paint = () => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('hft:theme');
  } catch { /* without storage, the system's scheme */ }
  document.documentElement.classList.toggle('dark-mode', chosen ? chosen === 'dark' : system.matches);
};
paint();
system.addEventListener('change', paint);
addEventListener('storage', paint);

// The documented responses are folded: an answer is in view, and twelve examples below it are not. All but the first, which the
// live one takes its media type from, are rendered only when they are unfolded.
const foldedResponses = () => ({
  wrapComponents: {
    responses: (Responses, { React }) => (props) => {
      const [open, setOpen] = React.useState(false);
      const label = `${open ? 'Hide' : 'Show'} the documented responses`;
      const toggle = { className: 'btn', type: 'button', 'aria-expanded': open, onClick: () => setOpen(!open) };
      return React.createElement(
        'div',
        { className: open ? 'responses' : 'responses folded' },
        React.createElement(Responses, open ? props : { ...props, responses: props.responses.take(1) }),
        React.createElement('button', toggle, label),
      );
    },
  },
});

SwaggerUIBundle({
  url: new URL('../openapi.json', script).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  plugins: [foldedResponses],
});
"""

STYLE = """body { margin: 0; }
.swagger-ui .info { margin: 24px 0 8px; }
.swagger-ui .info hgroup.main { margin: 0 0 8px; }
.swagger-ui .info .base-url, .swagger-ui .info .link { display: none; }
.swagger-ui .scheme-container { padding: 12px 0; margin: 0 0 8px; box-shadow: none; background: none; }
.swagger-ui details > summary { cursor: pointer; padding: 4px 0; }
.swagger-ui .folded .responses-inner > table, .swagger-ui .folded .responses-inner > div > h4:last-child { display: none; }
.swagger-ui .folded .responses-inner { padding-block: 0; }
.swagger-ui .responses > .btn { margin: 12px 20px; }
.dark-mode .swagger-ui .responses > .btn, .dark-mode .swagger-ui .examples-select__section-label { color: #e4e6e6; }
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

CONTENT_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
}
OURS = {"start.css": STYLE, "start.js": START}


def page(path: str) -> str:
    """Returns the page. Its references are relative to `path`, the path that the browser requested."""
    return PAGE.format(root="../" if path.endswith("/") else "")


@cache
def asset(name: str) -> tuple[str, str] | None:
    """Returns an asset's content and content type; `None` for an unknown name."""
    content_type = CONTENT_TYPES.get(name)
    if content_type is None:
        return None
    if name in OURS:
        return OURS[name], content_type
    from swagger_ui_bundle import swagger_ui_path  # nothing that trades needs it

    return swagger_ui_path.joinpath(name).read_text(encoding="utf-8"), content_type
