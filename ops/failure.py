"""What went wrong, in one line that says what to do."""

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

from chalicelib.domain.transfer import TransferRefused
from chalicelib.contract.errors import EngineError
from chalicelib.store.connection import Throttled, Unanswered

NO_CREDENTIALS = "No AWS credentials. Name a profile with AWS_PROFILE, or sign in (aws sso login, aws configure)"
_CREDENTIALS_REFUSED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException", "UnrecognizedClientException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class Failure(Exception):
    """A command could not do what it was asked; the message is for the operator."""


EXPLAINED = (Failure, TransferRefused, EngineError, Throttled, Unanswered, BotoCoreError, ClientError)
"""What `explain` knows. Anything else is a bug, and its traceback is what helps."""


def explain(error: Exception, place: str) -> str:
    """One line about an error of `EXPLAINED`. `place`: the stage's tables and where they are."""
    match error:
        case NoCredentialsError():
            return NO_CREDENTIALS
        case PartialCredentialsError() | CredentialRetrievalError() | SSOError() | ProfileNotFound():
            return f"AWS credentials cannot be used: {error}"
        case Unanswered() | NotConnected():
            return f"No answer from DynamoDB for {place}: {error}"
        case Throttled():
            return f"DynamoDB throttles {place}: try again"
        case ClientError():
            return _explain_answer(error, place)
        case _:
            return str(error)


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
