"""Decides whether a stream that was read is a success."""

from collections.abc import Mapping

from probe.config.response_settings import Expect
from probe.http.stream import SseParser
from probe.prober.response import content_encoding
from probe.prober.stream_errors import StreamFailure, is_error_finish, is_failed_finish
from probe.prober.stream_format import StreamFormat
from probe.prober.stream_reader import StreamReader
from probe.redaction import Redactor
from probe.result import Failure, Reason

SSE_MEDIA_TYPE = "text/event-stream"


def require_stream(stream_format: StreamFormat, headers: Mapping[str, str]) -> None:
    """Raise StreamFailure if the headers of a success say that its body is not a stream.

    JSON lines often have the media type of one JSON document.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if stream_format.new_parser is SseParser and media_type not in ("", SSE_MEDIA_TYPE):
        raise StreamFailure(
            Reason.ASSERTION,
            f"the response is {media_type} instead of {SSE_MEDIA_TYPE}; ask for a stream in `json`,"
            " usually with stream: true",
        )
    if content_encoding({name.lower(): value for name, value in headers.items()}) != "identity":
        encoding = headers["content-encoding"]
        raise StreamFailure(
            Reason.ASSERTION,
            f"the stream has the Content-Encoding {encoding}, which holds tokens back; disable"
            " compression in the server or proxy",
        )


def find_stream_failure(stream: StreamReader, expect: Expect, redactor: Redactor) -> Failure | None:
    """Return why a complete stream is a failure, None if it is a success."""
    shown = stream.public_finish_reason(redactor)
    detail = _finish_mismatch(stream.finish_reason, expect, shown)
    if detail:
        is_error = is_error_finish(stream.finish_reason or "") and not expect.finish
        reason = Reason.STREAM_ERROR if is_error else Reason.ASSERTION
        return Failure(reason=reason, detail=detail)
    if not stream.has_token:
        return Failure(reason=Reason.EMPTY, detail="the stream ended without a token")
    return _find_token_failure(stream.output_tokens, expect)


def _finish_mismatch(reason: str | None, expect: Expect, shown: str | None) -> str | None:
    """Return what is wrong with the finish reason; `shown` is its public text."""
    if expect.finish:
        if reason in expect.finish:
            return None
        expected = " or ".join(expect.finish)
        return f"the finish reason {f'is {shown}' if reason else 'is missing'}, not {expected}"
    if reason and is_failed_finish(reason):
        return f"the finish reason is {shown}"
    return None


def _find_token_failure(tokens: int | None, expect: Expect) -> Failure | None:
    if expect.tokens is None:
        return None
    if tokens is None:
        detail = (
            "the server reported no number of tokens within 1 s of the finish reason, which"
            " `expect.tokens` needs"
        )
    elif tokens < expect.tokens.min:
        detail = f"the stream has {tokens} tokens, less than {expect.tokens.min}"
    else:
        return None
    return Failure(reason=Reason.ASSERTION, detail=detail)
