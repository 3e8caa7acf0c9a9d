"""The hierarchy is what the command line's exit codes rest on."""

import inspect

from catsdogs.core import errors

USER_MISTAKES = {"DataError", "ModelError", "ConfigError", "OutputError", "DivergedError"}


def test_a_users_mistake_is_a_user_error_and_a_bad_picture_is_not():
    for name in USER_MISTAKES:
        assert issubclass(getattr(errors, name), errors.UserError)
    assert not issubclass(errors.PictureError, errors.UserError)


def test_every_error_has_one_root_and_is_in_the_drawing():
    kinds = dict(inspect.getmembers(errors, inspect.isclass))
    assert {"CatsdogsError", "UserError", "PictureError"} | USER_MISTAKES == kinds.keys()
    for name, kind in kinds.items():
        assert issubclass(kind, errors.CatsdogsError)
        assert name in errors.__doc__
