"""A viewer without a browser: a WebSocket that speaks Streamlit's messages."""

import time
from types import TracebackType

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

SECONDS_TO_WAIT = 120


class SocketViewer:
    """One session of the app at `address`; `query` is what would stand after the question mark.

    `page` is the path of the page, "" for the first.
    """

    def __init__(self, address: str, query: str = "", page: str = ""):
        self._query = query
        self._page = page
        self._ids: dict[str, str] = {}  # of the widgets seen, by label
        self._values: dict[str, float] = {}  # of the sliders moved, by id
        self.waited: list[str] = []  # what the last run's place in the queue was called, in order
        self._said: dict[tuple[int, ...], str] = {}  # the last run's texts, by place on the page
        self.errors: list[str] = []
        self._sent_before: dict[str, ForwardMsg] = {}  # large messages, by hash
        self._connecting = connect(
            address.replace("http", "ws") + "/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            origin=Origin(address),
            max_size=None,
        )

    def __enter__(self) -> "SocketViewer":
        self._connection = self._connecting.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connecting.__exit__(kind, error, trace)

    @property
    def said(self) -> list[str]:
        """The texts that stand on the page after the last run."""
        return list(self._said.values())

    def move_slider(self, ratio: float) -> float:
        """Seconds until the script that this starts has finished."""
        self._values[self._ids["Pruning ratio"]] = ratio
        return self.run()

    def run(self) -> float:
        started = time.perf_counter()
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.page_name = self._page
        for widget, value in self._values.items():
            state = message.rerun_script.widget_states.widgets.add()
            state.id = widget
            state.double_array_value.data.append(value)
        self._connection.send(message.SerializeToString())
        self.waited = []
        self._said = {}
        while True:
            received = self._receive()
            if received.WhichOneof("type") == "script_finished":
                if received.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return time.perf_counter() - started
            elif received.WhichOneof("type") == "delta":
                self._note(tuple(received.metadata.delta_path), received.delta.new_element)

    def _receive(self) -> ForwardMsg:
        message: ForwardMsg = ForwardMsg.FromString(self._connection.recv(SECONDS_TO_WAIT))
        if message.WhichOneof("type") == "ref_hash":
            return self._sent_before[message.ref_hash]
        if message.metadata.cacheable:
            self._sent_before[message.hash] = message
        return message

    def _note(self, place: tuple[int, ...], element: Element) -> None:
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.errors.append(element.exception.message)
        elif kind == "slider":
            self._ids[element.slider.label] = element.slider.id
        elif kind == "markdown":
            self._said[place] = element.markdown.body
            if "Waiting for" in element.markdown.body:
                self.waited.append(element.markdown.body)
        elif kind == "metric":
            self._said[place] = element.metric.body
        elif kind == "empty":
            self._said.pop(place, None)
