"""What user code prints, logs and warns: buffered while a step runs, passed through while the application is loaded.

The buffer belongs to the step and travels with its end, so what is shown has happened. Output of C code and of
subprocesses that write to the process' own files is not caught.
"""

import io
import sys

from sostenuto.worker import lazy
from sostenuto.worker.current import current

STDOUT, STDERR, LOGGING = range(3)


class StepStream(io.TextIOBase):
    """In the place of `sys.stdout` or `sys.stderr`."""

    def __init__(self, number, real):
        super().__init__()
        self._number = number
        self._real = real

    encoding = "utf-8"
    errors = "backslashreplace"

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        output = current.output
        if output is not None:
            if text:
                output.append((self._number, text))
        else:
            self._real.write(text)
            self._real.flush()
        return len(text)

    def writable(self):
        return True

    def fileno(self):
        return self._real.fileno()

    def close(self):
        """Stays open: it belongs to the process."""


def install():
    """Takes over the process' text streams and the root logger."""
    sys.stdout = StepStream(STDOUT, sys.__stdout__)
    sys.stderr = StepStream(STDERR, sys.__stderr__)
    lazy.after("logging", _take_over_logging)


def _take_over_logging():
    handler = _step_handler()
    sys.modules["logging"].getLogger().addHandler(handler)
    take_over_basic_config(handler)


def _step_handler():
    import logging

    class StepHandler(logging.Handler):
        """The root handler: what reaches it travels as logging output."""

        def __init__(self):
            super().__init__()
            self.setFormatter(logging.Formatter(logging.BASIC_FORMAT))

        def emit(self, record):
            try:
                text = self.format(record) + "\n"
            except Exception:
                self.handleError(record)
                return
            output = current.output
            if output is not None:
                output.append((LOGGING, text))
            else:
                sys.__stderr__.write(text)
                sys.__stderr__.flush()

    return StepHandler()


def take_over_basic_config(handler):
    """`logging.basicConfig` does nothing if the root has a handler; here it configures ours."""
    import logging

    original = logging.basicConfig

    def basic_config(**options):
        root = logging.getLogger()
        asked_elsewhere = options.get("filename") or options.get("handlers") or options.get("stream")
        if root.handlers == [handler] and asked_elsewhere:
            root.removeHandler(handler)
        if root.handlers != [handler] or options.get("force"):
            original(**options)
            return
        style = options.get("style", "%")
        formats = logging._STYLES[style][1]
        handler.setFormatter(logging.Formatter(options.get("format", formats), options.get("datefmt"), style))
        if options.get("level") is not None:
            root.setLevel(options["level"])

    logging.basicConfig = basic_config
