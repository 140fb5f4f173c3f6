"""Progress for people, on a terminal and elsewhere, and Ctrl-C."""

import io
import os
import re
import signal
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from cryorbit.api.console import BarProgress, LineProgress, watch
from cryorbit.api.interrupts import stop_on_interrupt
from cryorbit.api.progress_words import describe_fields


def make_console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    """A console that writes to memory."""
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=120), text


def test_numbers_are_shown_with_units_and_the_rest_is_not() -> None:
    fields = {"resolution_A": 12.345, "ess": 4.0, "iteration": 7.0}
    assert describe_fields(fields) == "12.3 Å  ESS 4.0"


def test_lines_come_seldom_and_the_last_always() -> None:
    console, text = make_console(terminal=False)
    with stop_on_interrupt(console) as stop, watch(console, stop) as progress:
        assert isinstance(progress, LineProgress)
        progress.start(100, "annealing")
        for _ in range(100):
            progress.advance(resolution_A=20.0)
        progress.note("a note [with brackets]")
    assert text.getvalue().splitlines() == [
        "annealing: 100 steps",
        "annealing 100/100  20.0 Å",
        "a note [with brackets]",
    ]


def test_a_stage_of_one_step_is_not_counted() -> None:
    console, text = make_console(terminal=False)
    with stop_on_interrupt(console) as stop:
        progress = LineProgress(console, stop)
        progress.start(1, "symmetry axes")
        progress.advance()
        progress.start(1, "all particles")
        progress.advance(ess=2.0)
    assert text.getvalue().splitlines() == ["symmetry axes", "all particles", "all particles  ESS 2.0"]


def test_lines_tell_the_time_left() -> None:
    console, text = make_console(terminal=False)
    with stop_on_interrupt(console) as stop:
        progress = LineProgress(console, stop, interval=0.0)
        progress.start(2, "annealing")
        progress.advance()
    assert text.getvalue().splitlines()[-1] == "annealing 1/2    0:00:00 left"


def test_a_stage_that_ends_by_itself_foretells_no_end() -> None:
    console, text = make_console(terminal=False)
    with stop_on_interrupt(console) as stop:
        progress = LineProgress(console, stop, interval=0.0)
        progress.start(None, "passes")
        progress.advance(resolution_A=20.0)
        progress.advance(resolution_A=15.0)
    assert text.getvalue().splitlines() == [
        "passes",
        "passes 1  20.0 Å  0:00:00 a step",
        "passes 2  15.0 Å  0:00:00 a step",
    ]


def test_a_terminal_gets_a_bar() -> None:
    console, text = make_console(terminal=True)
    with stop_on_interrupt(console) as stop, watch(console, stop) as progress:
        assert isinstance(progress, BarProgress)
        progress.start(3, "annealing")
        progress.advance(resolution_A=20.0, ess=5.0)
        progress.note("a note [with brackets]")
        progress.start(2, "finishing")
        progress.advance(resolution_A=10.0)
    assert "a note [with brackets]" in text.getvalue()
    last = text.getvalue().rpartition("finishing")[2]
    assert "1/2" in last
    assert "10.0 Å" in last


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_asks_second_aborts(number: signal.Signals) -> None:
    console, text = make_console(terminal=False)
    before = signal.getsignal(number)
    with stop_on_interrupt(console) as stop, watch(console, stop) as progress:
        assert not progress.stop_requested()
        os.kill(os.getpid(), number)
        assert progress.stop_requested()
        assert "Ctrl-C again" in text.getvalue()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_is_one_line_with_its_count_and_resolution(width: int) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width)
    with stop_on_interrupt(console) as stop, watch(console, stop) as progress:
        progress.start(150, "passes over all particles")
        for _ in range(49):
            progress.advance(resolution_A=29.2, log_likelihood=-1234.56, ess=123.4)
        progress.within(1, 2)
    (last,) = [line for line in text.getvalue().split("\r")[-1].splitlines() if "passes" in line][-1:]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last)
    assert len(plain) <= width
    assert "49/150" in plain
    assert "29.2 Å" in plain


def test_a_notebook_gets_one_display_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[str] = []

    def display(picture: str, *, display_id: bool) -> SimpleNamespace:
        assert display_id
        pictures.append(picture)
        return SimpleNamespace(update=pictures.append)

    fake = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=fake))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    console = Console(file=io.StringIO(), force_jupyter=True)
    with stop_on_interrupt(console) as stop, watch(console, stop) as progress:
        progress.start(2, "passes")
        progress.note("a <note>")
        progress.advance(resolution_A=20.0)
        progress.advance(resolution_A=15.0)
    assert "2/2  15.0 Å" in pictures[-1]
    assert 'max="2" value="2"' in pictures[-1]
    assert "a &lt;note&gt;" in pictures[-1]
    assert len(pictures) < 10
