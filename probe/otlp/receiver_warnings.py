"""The log of warnings of a receiver that accepts a document."""

import logging


class ReceiverWarnings:
    """Logs the first warning, and the first one after a document without a warning."""

    def __init__(self, logger: logging.Logger, items: str) -> None:
        """`items` is what the documents have, such as `traces`."""
        self._logger = logger
        self._message = f"the receiver of {items} has a warning"
        self._has_warning = False

    def log(self, warning: str | None) -> None:
        """Log the warning about a document; None if there was none."""
        if warning and not self._has_warning:
            self._logger.warning(self._message, extra={"fields": {"reason": warning}})
        self._has_warning = warning is not None
