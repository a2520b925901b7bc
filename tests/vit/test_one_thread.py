from __future__ import annotations

import os
import threading

import pytest

from nplight.vit import changed, one_thread


def test_the_lock_nests_and_keeps_other_threads_out() -> None:
    order, waiting = [], threading.Event()

    def work() -> None:
        waiting.set()
        with one_thread():
            order.append("other")

    thread = threading.Thread(target=work)
    with one_thread(), one_thread():
        thread.start()
        assert waiting.wait(5)
        thread.join(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "other"]


def test_a_change_is_undone_once_also_after_an_error() -> None:
    undone = []
    with pytest.raises(KeyError), one_thread(), changed(lambda: undone.append("outer")):  # noqa: PT012
        with changed(lambda: undone.append("inner")):
            assert undone == []
        raise KeyError
    assert undone == ["inner", "outer"]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # that is what is tested
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_undoes_the_changes_of_a_thread_that_it_lacks() -> None:
    ready, end = threading.Event(), threading.Event()
    state = ["as it was"]

    def work() -> None:
        with one_thread(), changed(lambda: state.__setitem__(0, "as it was")):
            state[0] = "changed"
            ready.set()
            end.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(5)
    child = os.fork()
    if child == 0:
        with one_thread():  # does not wait for a thread that is not there
            os._exit(0 if state == ["as it was"] else 1)
    _, status = os.waitpid(child, 0)
    end.set()
    thread.join(5)
    assert os.waitstatus_to_exitcode(status) == 0
