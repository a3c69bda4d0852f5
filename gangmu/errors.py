"""What can go wrong, by whose fault it is, and the exit code that says so."""


class GangmuError(Exception):
    """A failure that is reported in one message, without a traceback."""

    exit_code = 1


class UsageError(GangmuError):
    """The command or the run description asks for something that cannot be done."""

    exit_code = 2


class CheckpointError(UsageError):
    """A folder is not a checkpoint that can be used: missing, incomplete or changed."""


class DataError(GangmuError):
    """A report or a labelled file is not what it should be; lists every fault found."""

    exit_code = 65

    def __init__(self, faults: str | list[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else faults
        super().__init__("\n".join(self.faults))


class InputOutputError(GangmuError):
    """A file cannot be read or written."""

    exit_code = 74


class InUseError(GangmuError):
    """Another process writes the same output."""

    exit_code = 75
