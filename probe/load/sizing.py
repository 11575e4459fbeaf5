"""Formulas of capacity planning, without measurements.

All inputs are decimal numbers, so the arithmetic uses fractions: with floats, three instances could
become four in rounding up.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

# Batch sizes of the table: powers of two up to this one.
MAX_BATCH_SIZE = 1024

# The quantile of the latency in the table.
QUANTILE = Fraction(95, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDemand:
    """Instances that a request rate needs. Rates are requests per second."""

    rate: Fraction
    instance_capacity: Fraction
    """Rate at which one instance has the planned utilization."""
    planned_rate: Fraction
    """Capacity to provide, so that the share `headroom` of it is free at `rate`."""
    instances: int

    @property
    def utilization(self) -> Fraction:
        """Share of the capacity of all instances, at the planned utilization, that `rate` uses."""
        return self.rate / (self.instance_capacity * self.instances)


def size_instances(
    *,
    service_seconds: Fraction,
    concurrency: int,
    utilization: Fraction,
    rate: Fraction,
    headroom: Fraction,
) -> InstanceDemand:
    """Return how many instances serve `rate` requests per second.

    An instance processes `concurrency` requests at a time, each in `service_seconds`, so at full
    utilization it completes `concurrency / service_seconds` per second (Little's law: L = λ W with
    L = concurrency). `utilization` and `headroom` are ratios: the first is the utilization at which
    an instance still keeps its latency, the second the share of the capacity that must be free for
    peaks and for the failure of instances. 0 <= headroom < 1, all other arguments are positive.
    """
    capacity = concurrency / service_seconds * utilization
    return InstanceDemand(
        rate=rate,
        instance_capacity=capacity,
        planned_rate=planned_rate(rate, headroom),
        instances=required_instances(rate, capacity, headroom),
    )


def planned_rate(rate: Fraction, headroom: Fraction) -> Fraction:
    """Return the capacity of which the share `headroom` is free at `rate`, for headroom < 1."""
    return rate / (1 - headroom)


def required_instances(rate: Fraction, instance_capacity: Fraction, headroom: Fraction) -> int:
    """Return how many instances of this capacity serve `rate` with the share `headroom` free."""
    return math.ceil(planned_rate(rate, headroom) / instance_capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """One instance that processes batches of `size` requests. Times are seconds."""

    size: int
    wait_seconds: Fraction
    """Time in which `size` requests arrive, from the first to the last: the maximum wait to set."""
    service_seconds: Fraction
    """Time to process a full batch."""
    capacity: Fraction
    """Requests per second with full batches, one after the other."""
    is_saturated: bool
    """Whether the capacity does not exceed the rate: then the queue grows without limit."""
    min_p95_seconds: Fraction
    """Lower bound of the 95th percentile of the latency."""


def plan_batches(
    *, overhead_seconds: Fraction, item_seconds: Fraction, rate: Fraction, slo_seconds: Fraction
) -> Iterator[BatchPlan]:
    """Yield a plan for each batch size that is a power of two.

    A batch of n requests takes `overhead_seconds + n * item_seconds`. The last plan is the first
    one that cannot keep `slo_seconds`, as all larger batches cannot, or the one with
    MAX_BATCH_SIZE. `rate` is in requests per second.
    """
    size = 1
    while size <= MAX_BATCH_SIZE:
        plan = plan_batch(
            size, overhead_seconds=overhead_seconds, item_seconds=item_seconds, rate=rate
        )
        yield plan
        if plan.min_p95_seconds > slo_seconds:
            return
        size *= 2


def plan_batch(
    size: int, *, overhead_seconds: Fraction, item_seconds: Fraction, rate: Fraction
) -> BatchPlan:
    """Return the plan for batches of `size` requests, see `plan_batches`.

    The lower bound of the 95th percentile assumes the best case: requests arrive evenly, each batch
    is full, and a batch never waits for the one before. Request k of n (from 1) then waits for
    `(n - k) / rate`, and the percentile is that of the request with the nearest rank, 0.95 n
    rounded up in ascending order. Uneven arrivals and queues add to it.
    """
    service_seconds = overhead_seconds + size * item_seconds
    capacity = size / service_seconds
    rank = math.ceil(QUANTILE * size)
    return BatchPlan(
        size=size,
        wait_seconds=(size - 1) / rate,
        service_seconds=service_seconds,
        capacity=capacity,
        is_saturated=capacity <= rate,
        min_p95_seconds=(rank - 1) / rate + service_seconds,
    )
