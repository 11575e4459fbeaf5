"""Reads one stream while it arrives: measures its tokens, and sets the deadlines between them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.clock import nanoseconds
from probe.http.stopwatch import PhaseTimes, Stopwatch, Timestamp
from probe.http.stream import StreamError, StreamEvent
from probe.prober.cpu_budget import MAX_CPU_SECONDS, CpuBudget
from probe.prober.json_values import Values
from probe.prober.response_values import EventValues
from probe.prober.stream_errors import (
    REFUSAL,
    StreamFailure,
    is_failed_finish,
    reported_error,
)
from probe.prober.stream_format import StreamFormat
from probe.prober.stream_paths import EventDocument
from probe.prober.stream_template import EventTemplate, find_template
from probe.prober.token_times import TokenTimes
from probe.prober.usage import is_plausible_count, token_counts
from probe.redaction import Redactor, to_one_line
from probe.result import STREAM_PHASES, ClockSource, Phase, Reason, StreamResult, TokenCounts

# Time to wait for usage, the last event and the end of the body, after the finish reason.
GRACE_SECONDS = 1.0

# Parsing the JSON of a longer event would hold the interpreter lock for too long.
MAX_PARSED_EVENT_BYTES = 64 * 1024

# Finish reasons are single words.
MAX_FINISH_REASON_CHARS = 64

# Finish reasons of a response that the model has ended, with a token without text.
_ENDED_BY_MODEL = re.compile("stop|end_turn|eos|eos_token|completed", re.IGNORECASE)

# Values in an event by the key in `stream`.
_Found = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDeadlines:
    """Deadlines of a stream in addition to that of the run (seconds); None: not limited."""

    first_token: float | None
    stall: float | None


class StreamReader:
    """Consumes the body of one stream. A `BodyConsumer`.

    The phase `first_token` is over with the first event that has text, reasoning or a tool call,
    and `generate` with the last one. Times are those of the read that completed an event.
    """

    def __init__(
        self,
        stream_format: StreamFormat,
        deadlines: StreamDeadlines,
        stopwatch: Stopwatch,
        *,
        values: EventValues,
        keeps_text: bool,
    ) -> None:
        """Begin with the phase `first_token`, from the first byte of the response on.

        `values` reads further values of events. `keeps_text` is whether `text` is needed.
        """
        self._format = stream_format
        self._deadlines = deadlines
        self._stall_ns = None if deadlines.stall is None else nanoseconds(deadlines.stall)
        self._stopwatch = stopwatch
        self._values = values
        self._parser = stream_format.new_parser()
        self._template: EventTemplate | None = None
        self._budget = CpuBudget()
        # UTF-16, in which both halves of an emoji that two events divide are joined again.
        self._text = bytearray() if keeps_text else None
        self._first_byte = stopwatch.phase_start or stopwatch.timestamp()
        self._first_chunk: Timestamp | None = None
        self._first_token: Timestamp | None = None
        self._first_output_token: Timestamp | None = None
        self._last_token: Timestamp | None = None
        self._longest_gap = Timestamp(0, 0)
        self._token_reads = 0
        self._token_events = 0
        self._token_times = TokenTimes()
        self._chunks = 0
        self._merged_events = 0
        self._has_reasoning = False
        self._counts: dict[str, int] = {}
        self._is_refused = False
        # Where the last phase has ended, while no more tokens are expected.
        self._phase_end: Timestamp | None = None
        # Whether the last event has arrived, and bytes after it do not count.
        self._ignores_rest = False
        self.finish_reason: str | None = None
        stopwatch.relabel_phase(Phase.FIRST_TOKEN)

    @property
    def has_token(self) -> bool:
        return self._first_token is not None

    @property
    def is_complete(self) -> bool:
        """Whether the event that ends a complete stream has arrived."""
        return self._phase_end is not None

    @property
    def output_tokens(self) -> int | None:
        """Number of generated tokens as reported by the server."""
        return self._tokens.output

    @property
    def values(self) -> Values:
        """Values of the events that name the origin of the response."""
        return self._values.values

    @property
    def _tokens(self) -> TokenCounts:
        return token_counts(self._counts, separate=self._format.separate)

    @property
    def text(self) -> bytes:
        """The content of all events, without reasoning and tool calls, as UTF-8."""
        return (self._text or b"").decode("utf-16-le", "replace").encode()

    def public_finish_reason(self, redactor: Redactor) -> str | None:
        """Return the finish reason, which is the server's text, on one line without secrets."""
        if self.finish_reason is None:
            return None
        return to_one_line(redactor.truncate(self.finish_reason, MAX_FINISH_REASON_CHARS))

    def feed(self, data: bytes, received: Timestamp) -> None:
        """Process the next bytes. Raises StreamFailure for an event that fails the probe."""
        if self._ignores_rest:
            return
        try:
            for event in self._parser.feed(data, received):
                self._process(event)
            # Also for comments and empty lines, which are no events.
            self._budget.remaining()
        except (TimeoutError, StreamError) as error:
            raise _invalid_stream(error) from None

    def close(self, *, body_is_complete: bool) -> None:
        """Process the end of the body. Raises StreamFailure if the stream is not complete.

        If the format has no event that ends a stream, the body must be complete.
        """
        if not self._ignores_rest:
            try:
                for event in self._parser.close():
                    self._process(event)
            except (TimeoutError, StreamError) as error:
                raise _invalid_stream(error) from None
        has_ended = self.is_complete or self.finish_reason
        if not has_ended and (self._format.has_end or not body_is_complete):
            raise self._truncated()
        self._end_phase(None)

    def timed_out(self) -> StreamFailure | None:
        """Return the failure for the deadline that has passed; None if it is that of the run."""
        if not self._stopwatch.deadline.has_interim:
            return None
        if not self.has_token:
            return first_token_timeout_failure(self._deadlines)
        seconds = self._deadlines.stall
        return StreamFailure(
            Reason.STALL_TIMEOUT,
            f"no token came for {seconds:g} s (`stall_timeout`), after {self._progress()}",
        )

    def result(self, times: PhaseTimes, redactor: Redactor) -> StreamResult:
        """Return the measurements. Times without a token are unknown."""
        phases = times.total()
        until_first_byte = sum(
            seconds for phase, seconds in phases.items() if phase not in STREAM_PHASES
        )

        def since_first_byte(event: Timestamp | None) -> float | None:
            if event is None:
                return None
            return until_first_byte + self._first_byte.seconds_until(event, times.clock)

        return StreamResult(
            time_to_first_byte=until_first_byte,
            time_to_first_chunk=since_first_byte(self._first_chunk),
            time_to_first_token=since_first_byte(self._first_token),
            time_to_first_output_token=since_first_byte(self._first_output_token),
            time_per_output_token=self._time_per_output_token(times.clock),
            longest_gap=(
                Timestamp(0, 0).seconds_until(self._longest_gap, times.clock)
                if self._token_reads > 1
                else None
            ),
            chunks=self._chunks,
            merged_events=self._merged_events,
            tokens=self._tokens,
            finish_reason=self.public_finish_reason(redactor),
            token_times=tuple(
                until_first_byte + seconds
                for seconds in self._token_times.seconds_after(self._first_byte, times.clock)
            ),
        )

    def _truncated(self) -> StreamFailure:
        end = "the end of the body"
        if self._format.has_end:
            end = "a finish reason" if self._format.has_finish else "its last event"
        where = "in the middle of an event" if self._parser.has_partial_event else f"before {end}"
        detail = f"the stream ended {where}, after {self._progress()}"
        return StreamFailure(Reason.TRUNCATED, detail)

    def _time_per_output_token(self, clock: ClockSource) -> float | None:
        """Return the mean time between two tokens.

        None if the server does not report their number, or if all of them came in one read.
        """
        tokens = self.output_tokens
        if not self._first_token or not self._last_token or tokens is None:
            return None
        if not self._has_reasoning:
            # Some servers count tokens of reasoning that they do not send.
            tokens -= self._tokens.reasoning or 0
        if _ENDED_BY_MODEL.fullmatch(self.finish_reason or ""):
            # Some servers count the token with which the model ends its response. It has no text
            # and no event. If each other token has one, it is recognised by their number.
            tokens -= self._token_events == tokens - 1
        if tokens < 2 or self._token_reads < 2:
            return None
        return self._first_token.seconds_until(self._last_token, clock) / (tokens - 1)

    def _process(self, event: StreamEvent) -> None:
        if event.is_merged:
            # Before the first event of a read, `feed` has checked it.
            self._budget.remaining()
            self._merged_events += 1
        if self._ignores_rest or not event.data:  # without data, it is no more than a comment
            return
        if self._format.end is not None and event.data.strip() == self._format.end:
            # Gateways also send it after a stream that was cut.
            if self.finish_reason or not self._format.has_finish:
                self._end_phase(event.received)
                self._ignores_rest = True
            return
        if len(event.data) > MAX_PARSED_EVENT_BYTES:
            kib = MAX_PARSED_EVENT_BYTES // 1024
            raise _invalid(f"an event of the stream is longer than {kib} KiB")
        self._chunks += 1
        self._first_chunk = self._first_chunk or event.received
        found = self._find_values(event)
        self._process_tokens(event.received, found)
        if reasons := _texts(found, "finish"):
            self._finish(reasons[0])
            self._end_phase(event.received)

    def _find_values(self, event: StreamEvent) -> _Found:
        """Return the values in an event, and note those that are no tokens.

        Raises StreamFailure if the event is invalid or reports an error.
        """
        if self._template:
            text = self._template.find_text(event)
            if text is not None:
                return {"content": [text]}
        document = _document(event)
        self._values.read(document)
        found = self._format.paths.find(document)
        self._check_error(event, document, found)
        self._count_tokens(found)
        self._template = find_template(event, document, found)
        return found

    def _finish(self, reason: str) -> None:
        """Note a finish reason. Of several, a refusal or an error counts, or else the first one."""
        if self._is_refused:
            reason = REFUSAL
        if self.finish_reason is None or is_failed_finish(reason):
            self.finish_reason = reason

    def _check_error(self, event: StreamEvent, document: EventDocument, found: _Found) -> None:
        """Raise StreamFailure if the event reports an error, or is no event of the format."""
        for error in found.get("error", ()):
            if error:
                # Beside the text of an error, some servers have its type.
                details = {**document.value, "message": error} if isinstance(error, str) else error
                raise reported_error(details, event.type if event.is_error else "")
        if document.type == "error" or (event.is_error and event.type):
            raise reported_error(document.value, document.type)
        if event.is_error:
            raise _invalid(
                "a line of the stream is JSON without `data:`; if the response is no stream, ask"
                " for one in `json`, usually with stream: true"
            )

    def _count_tokens(self, found: _Found) -> None:
        for name, key in self._format.usage:
            for value in found.get(key, ()):
                if is_plausible_count(value):
                    self._counts[name] = value

    def _process_tokens(self, received: Timestamp, found: _Found) -> None:
        """Note the tokens of an event.

        Empty text is no token: it announces the role, or stands for an incomplete character.
        """
        if any(found.get("skip", ())):
            return
        refusal = _texts(found, "refusal")
        self._is_refused |= bool(refusal)
        content = "".join([*_texts(found, "content"), *refusal])
        has_reasoning = bool(_texts(found, "reasoning"))
        # Calls of tools may be of any type. An empty text, list or object is none.
        is_output = bool(content) or any(found.get("tool_call", ()))
        if not is_output and not has_reasoning:
            return
        self._token_events += 1
        self._has_reasoning |= has_reasoning
        if self._text is not None:
            self._text += content.encode("utf-16-le", "surrogatepass")
        if self._phase_end:
            self._reopen(self._phase_end)
        if self._first_token is None:
            self._first_token = received
            self._stopwatch.start_phase(Phase.GENERATE, at=received)
        if self._last_token != received:
            self._add_gap(received)
        self._last_token = received
        if is_output and self._first_output_token is None:
            self._first_output_token = received
        self._set_stall_deadline(received)

    def _add_gap(self, received: Timestamp) -> None:
        self._token_reads += 1
        self._token_times.add(received)
        if self._last_token is None:
            return
        gap = Timestamp(
            received.user - self._last_token.user, received.kernel - self._last_token.kernel
        )
        if gap.user > self._longest_gap.user or gap.kernel > self._longest_gap.kernel:
            self._longest_gap = Timestamp(
                max(self._longest_gap.user, gap.user), max(self._longest_gap.kernel, gap.kernel)
            )

    def _set_stall_deadline(self, received: Timestamp) -> None:
        deadline = self._stopwatch.deadline
        if self._stall_ns is None:
            deadline.clear_interim()
        else:
            deadline.set_interim(received.user + self._stall_ns)

    def _end_phase(self, received: Timestamp | None) -> None:
        """End the last phase with the last token. What follows may take the grace period.

        Without a token, it ends with the event that ended the stream, `received`, or now.
        """
        if self._phase_end:
            return
        self._phase_end = self._last_token or received or self._stopwatch.timestamp()
        self._stopwatch.end_phase(self._phase_end)
        grace_end = self._stopwatch.now() + nanoseconds(GRACE_SECONDS)
        self._stopwatch.deadline.set_interim(grace_end)

    def _reopen(self, ended: Timestamp) -> None:
        """Continue the phase that has `ended`: a token has come after the finish reason."""
        phase = Phase.GENERATE if self.has_token else Phase.FIRST_TOKEN
        self._stopwatch.start_phase(phase, at=ended)
        self._phase_end = None

    def _progress(self) -> str:
        return f"{self._chunks} chunk{'' if self._chunks == 1 else 's'}"


def _invalid_stream(error: TimeoutError | StreamError) -> StreamFailure:
    """Return the failure for an error of the CPU budget or of the parser."""
    if isinstance(error, TimeoutError):
        return _invalid(f"reading the events takes more than {MAX_CPU_SECONDS:g} s of CPU time")
    return _invalid(str(error))


def _invalid(detail: str) -> StreamFailure:
    return StreamFailure(Reason.STREAM_ERROR, detail)


def first_token_timeout_failure(deadlines: StreamDeadlines) -> StreamFailure:
    """Return the failure if no token came in time."""
    seconds = deadlines.first_token
    detail = f"no token came within {seconds:g} s (`first_token_timeout`)"
    return StreamFailure(Reason.FIRST_TOKEN_TIMEOUT, detail)


def _document(event: StreamEvent) -> EventDocument:
    """Return the JSON of an event. Its type may be in it, and an error may be in a list."""
    value = _parse(event.data)
    if event.is_error and isinstance(value, list) and value:
        value = value[0]
    event_type = event.type
    if not event_type and isinstance(value, dict) and isinstance(value.get("type"), str):
        event_type = value["type"]
    return EventDocument(event_type, value)


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _invalid("an event of the stream is not JSON") from None


def _texts(found: _Found, key: str) -> list[str]:
    """Return the text at the paths of `key`, without empty text and values of other types."""
    if key not in found:
        return []
    return [value for value in found[key] if isinstance(value, str) and value]
