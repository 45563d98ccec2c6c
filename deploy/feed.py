"""The list of a price feed's sources, on its way into the package."""

from chalicelib.market.sources import PACKAGED_AS, InvalidSources, read_sources
from deploy import DeployError
from deploy.stage import Stage


def source_files(stage: Stage) -> dict[str, str]:
    """Returns the file with the stage's sources as the package contains it, by name; nothing where the feed is off.

    Raises:
        DeployError: the list is missing or invalid.
    """
    if not stage.price_feed:
        return {}
    name = stage.sources.relative_to(stage.project)
    try:
        text = stage.sources.read_text()
        read_sources(text)
    except FileNotFoundError:
        raise DeployError(f"The stage {stage.name!r} has a price feed, but there is no {name} with its sources") from None
    except InvalidSources as invalid:
        raise DeployError(f"{name}: {invalid}") from None
    return {PACKAGED_AS: text}
