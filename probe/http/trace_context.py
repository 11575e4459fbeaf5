"""W3C Trace Context: the ids of the trace of one run, and the header `traceparent`.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

import random

TRACEPARENT = "traceparent"

# Span ids have 64 bits, and 0 is invalid.
_SPAN_ID_COUNT = 2**64 - 1


def new_trace_id() -> str:
    """Return a random trace id: 32 hexadecimal digits, not all of them 0."""
    return f"{random.getrandbits(128) or 1:032x}"


def span_id(trace_id: str, number: int) -> str:
    """Return the id of the span `number` of a trace: 16 hexadecimal digits, not all of them 0.

    The id is the lower half of the trace id, which is random, plus `number`. All span ids follow
    from the trace id, so a result stores no other id.
    """
    return f"{(int(trace_id[16:], 16) + number) % _SPAN_ID_COUNT + 1:016x}"


def request_span_id(trace_id: str, hop: int) -> str:
    """Return the span id of a request; `hop` is the number of redirects before it."""
    return span_id(trace_id, 1 + hop)


def traceparent(trace_id: str, hop: int, *, sampled: bool) -> str:
    """Return the header `traceparent` of a request. The span of the server becomes its child.

    The flag of random ids (Level 2 of the specification) is not set: the propagator of
    OpenTelemetry for Go (1.37) rejects a header that has it together with the flag `sampled`.
    """
    return f"00-{trace_id}-{request_span_id(trace_id, hop)}-{'01' if sampled else '00'}"
