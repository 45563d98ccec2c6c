"""The ends of a command.

| exit code | meaning |
|---|---|
| 0 | done: filled, voided, verified, shown |
| 1 | no answer, or the engine is unavailable: nothing was decided, the same command may be run again |
| 2 | an invalid command line or setting |
| 3 | refused: a decision, stored under the key for ever |
| 4 | rejected: nothing was decided, and the same command would be rejected again |
| 5 | the outcome is unknown: the order may have been executed, once at most |
| 6 | the history does not verify |
"""

from enum import IntEnum

from hft_client.errors import (
    ApiError,
    HftError,
    HistoryRewritten,
    OrderDecided,
    OutcomeUnknown,
    Refused,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    VerificationFailed,
)


class ExitCode(IntEnum):
    """The exit codes."""

    DONE = 0
    UNAVAILABLE = 1
    USAGE = 2
    REFUSED = 3
    REJECTED = 4
    UNKNOWN = 5
    NOT_VERIFIED = 6


def exit_code(error: HftError) -> ExitCode:
    """Returns the exit code of an error."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.UNAVAILABLE)


_EXIT_CODES = (
    (Refused, ExitCode.REFUSED),
    (OutcomeUnknown, ExitCode.UNKNOWN),
    (VerificationFailed, ExitCode.NOT_VERIFIED),
    (Unavailable, ExitCode.UNAVAILABLE),
    (ApiError, ExitCode.REJECTED),
    (UnexpectedAnswer, ExitCode.REJECTED),
)
"""The most specific ones first."""


def explanation(error: HftError, url: str) -> str:  # noqa: PLR0911  (one for each kind)
    """Returns what happened, and what to do, in a line or two."""
    match error:
        case OutcomeUnknown(key=key):
            return (
                f"The outcome is unknown: the order may have been executed, once at most ({error.reason}).\n"
                f"Find out with: hft order {key}. Make sure that it never executes: hft void {key}"
            )
        case Refused():
            return f"Refused, for good: {error}"
        case Unauthenticated():
            return f"{error}. Set HFT_TOKEN"
        case OrderDecided(record=record) if record is not None:
            return f"{error} (decision {record.sequence}, {record.decided_at:%Y-%m-%d %H:%M:%S} UTC)"
        case VerificationFailed(sequence=sequence):
            hint = ""
            if isinstance(error, HistoryRewritten):
                hint = "\nWhere the engine was emptied on purpose, as a local run is by a restart: hft verify --forget"
            return f"NOT VERIFIED, at decision {sequence}: {error}{hint}"
        case Unavailable():
            return f"{error} ({error.code})"
        case ApiError() if error.key is not None:
            return f"Nothing was decided: {error}"
        case ApiError() | UnexpectedAnswer():
            return str(error)
        case _:
            return f"{url}: {error}"


def as_json(error: HftError) -> dict[str, object]:
    """Returns an error for a program to read."""
    shown: dict[str, object] = {"error": type(error).__name__, "message": str(error), "exit_code": exit_code(error)}
    match error:
        case ApiError():
            shown |= {"status": error.status, "error_code": error.code, "stored": error.stored, "key": error.key}
        case OutcomeUnknown():
            shown |= {"keys": list(error.keys)}
        case VerificationFailed():
            shown |= {"sequence": error.sequence}
    return shown
