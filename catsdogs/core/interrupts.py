"""Terminated: SIGTERM as an exception, the sister of KeyboardInterrupt."""


class Terminated(BaseException):
    """SIGTERM arrived. It is no error, so ``except Exception`` lets it pass, as it does Ctrl-C."""
