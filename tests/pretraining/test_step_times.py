"""Communication is counted once, and what computing covers of it is not exposed."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import DeviceType

from nec13b.pretraining.step_times import communication_seconds


def event(name, start, end, device=DeviceType.CPU):
    return SimpleNamespace(name=name, device_type=device, time_range=SimpleNamespace(start=start, end=end))


def test_on_a_cpu_the_operators_cover_gloo():
    events = [
        event("gloo:all_reduce", 0, 100),
        event("gloo:all_reduce", 50, 150),  # two at once are not twice the time
        event("aten::mm", 20, 60),
        event("aten::addmm", 50, 80),
        event("c10d::allreduce_", 0, 150),  # the wait for it is not computing
    ]
    assert communication_seconds(events) == pytest.approx((150e-6, 90e-6))


def test_on_a_gpu_only_kernels_count():
    events = [
        event("aten::mm", 0, 1000),  # the launch, not the work
        event("ncclDevKernel_AllGather_RING_LL", 10, 40, DeviceType.CUDA),
        event("ampere_bf16_s16816gemm", 30, 90, DeviceType.CUDA),
    ]
    assert communication_seconds(events) == pytest.approx((30e-6, 20e-6))


def test_without_collectives_there_is_none():
    assert communication_seconds([event("aten::mm", 0, 10)]) == (0, 0)
    assert communication_seconds([]) == (0, 0)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15)), max_size=8)


@given(talking=SPANS, computing=SPANS)
def test_it_is_what_counting_microseconds_gives(talking, computing):
    events = [event("gloo:x", start, start + length) for start, length in talking]
    events += [event("aten::x", start, start + length) for start, length in computing]
    talk, compute = (
        {t for start, length in spans for t in range(start, start + length)} for spans in (talking, computing)
    )
    expected = (len(talk) * 1e-6, len(talk - compute) * 1e-6)
    assert communication_seconds(events) == pytest.approx(expected, abs=1e-12)
