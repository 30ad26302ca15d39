"""The settings as attributes of their class: a read-only view of the environment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelMetaclass
else:
    _ModelMetaclass = type(BaseSettings)  # it has no public name


class EnvironmentView(_ModelMetaclass):
    """Makes `TestConfig.LOCAL`, and every other setting, readable on the class: its value in the environment now.

    For tests of the user's own that are written so. This program passes instances on, which do not change.
    """

    _being_built = threading.local()

    def __new__(cls, *args: Any, **given: Any) -> Any:
        """Build a class of settings; pydantic itself looks for attributes on it and on its bases meanwhile."""
        depth = getattr(cls._being_built, "depth", 0)
        cls._being_built.depth = depth + 1
        try:
            return super().__new__(cls, *args, **given)
        finally:
            cls._being_built.depth = depth

    def __getattr__(self, name: str) -> Any:
        """Return a setting as the environment has it. Raises `InputError` where that is not valid."""
        fields = self.__dict__.get("__pydantic_fields__", {})
        if name in fields and not getattr(self._being_built, "depth", 0):
            return getattr(self.from_environment(), name)
        return super().__getattr__(name)  # type: ignore[misc]  # declared for runtime only

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to set a setting: set its environment variable, or pass an instance."""
        if name in self.__dict__.get("__pydantic_fields__", {}):
            raise AttributeError(f"{self.__name__}.{name} is read from the environment, and cannot be set")
        super().__setattr__(name, value)
