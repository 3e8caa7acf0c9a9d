"""Every error that catsdogs raises on purpose.

CatsdogsError
├── UserError              a mistake the user can mend: one line on stderr, exit code 2
│   ├── DataError          the pictures, their layout or their labels
│   ├── ModelError         a backbone name, a weights file, a model folder or a checkpoint
│   ├── ConfigError        a flag, a config file, or two settings that contradict each other
│   ├── OutputError        a place that cannot be written
│   └── DivergedError      training has left the numbers: the loss is not finite, or absurd
└── PictureError           one picture cannot be read: it becomes a row with this reason
"""


class CatsdogsError(Exception):
    """Base of every error that catsdogs raises on purpose."""


class UserError(CatsdogsError):
    """A mistake the user can mend. The message is one line that says what is wrong and what to do."""


class DataError(UserError):
    """The pictures, their layout or their labels do not allow what was asked."""


class ModelError(UserError):
    """A backbone name, a weights file, a model folder or a checkpoint cannot be used."""


class ConfigError(UserError):
    """A flag or a config file is wrong, or two settings contradict each other."""


class OutputError(UserError):
    """A place that should be written cannot be."""


class DivergedError(UserError):
    """Training cannot go on: the loss or the weights are not finite, or absurdly large."""


class PictureError(CatsdogsError):
    """One picture cannot be read. The message is the reason that its row reports."""
