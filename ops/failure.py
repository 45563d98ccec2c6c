"""Errors in one line that says what to do."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
from botocore.exceptions import ConnectionError as NotConnected

from chalicelib.contract.errors import EngineError
from chalicelib.domain.money import price_text
from chalicelib.domain.record import UnsupportedForm
from chalicelib.domain.refusals import TransferRejected, UnknownAsset
from chalicelib.runtime.deadline import DeadlineExceeded
from chalicelib.store.assets import AssetBusy, HeldPrice, ImmutableAsset, Listing, StaleAsset
from chalicelib.store.connection import Throttled, Unanswered
from ops.repair import MovedOn, NotRepairable

NO_CREDENTIALS = "No AWS credentials. Name a profile with AWS_PROFILE, or sign in (aws sso login, aws configure)"
_CREDENTIALS_REFUSED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException", "UnrecognizedClientException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class Failure(Exception):
    """A command that could not do what it was asked. The message is for the operator."""


EXPLAINED = (
    *(Failure, MovedOn, NotRepairable, EngineError, UnsupportedForm, TransferRejected, UnknownAsset),
    *(AssetBusy, HeldPrice, ImmutableAsset, StaleAsset),
    *(DeadlineExceeded, Throttled, Unanswered, BotoCoreError, ClientError),
)
"""The errors that `explain` explains. Any other is a bug, and its traceback helps most."""


def explain(error: Exception, place: str) -> str:
    """Returns one line about an error of `EXPLAINED`. `place`: the stage's tables and where they are."""
    match error:
        case NoCredentialsError():
            line = NO_CREDENTIALS
        case PartialCredentialsError() | CredentialRetrievalError() | SSOError() | ProfileNotFound():
            line = f"AWS credentials cannot be used: {error}"
        case Unanswered() | NotConnected():
            line = f"No answer from DynamoDB for {place}: {error}"
        case Throttled() | DeadlineExceeded():
            line = f"DynamoDB throttles {place}: try again"
        case ClientError():
            line = _explain_answer(error, place)
        case AssetBusy():
            line = f"The item of {error} stayed busy with transactions. Nothing was written: try again"
        case UnknownAsset(symbols=symbols):
            line = f"Unknown asset: {', '.join(symbols)}"
        case HeldPrice():
            line = f"{error} (--allow-move). It was not set"
        case StaleAsset(change=change, now=now):
            was, is_now = _shown(change.before), _shown(now)
            line = f"{change.symbol} was changed by somebody else: it was {was}, it is {is_now}. Nothing was written"
        case _:
            line = str(error)
    return line


def _shown(listing: Listing | None) -> str:
    if listing is None:
        return "not listed"
    asset = listing.asset
    halted = ", halted" if asset.halted else ""
    return f"{price_text(asset.price)} USD{halted} (version {listing.version}, price of {asset.price_at})"


def _explain_answer(error: ClientError, place: str) -> str:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    if code == "ResourceNotFoundException":
        return f"There are no such tables: {place}. Is the stage deployed there, in this account?"
    if code in _DENIED:
        return f"Access denied: {message}"
    if code in _CREDENTIALS_REFUSED:
        return f"AWS does not accept these credentials ({code}): sign in again"
    return f"DynamoDB refused: {code}: {message}"
