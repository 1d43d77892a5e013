"""Base classes of a protocol that runs on both versions of gufe."""

from __future__ import annotations

import inspect
from typing import Any

from xpm_alchem.gufe_seam.installed import IS_GUFE_0_4, GufeTokenizable, ProtocolUnit, gufe


class _NoDefaults:
    """`_defaults` is an instance method in 0.4 and a classmethod since 1.0: a classmethod serves both."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}


if not IS_GUFE_0_4:
    from gufe.settings import SettingsBaseModel

    SettingsBase: Any = SettingsBaseModel

    ProtocolBase: Any = gufe.Protocol
    ProtocolResultBase: Any = gufe.ProtocolResult
    ProtocolUnitBase: Any = ProtocolUnit
else:  # --- gufe 0.4 only

    class SettingsBase(_NoDefaults, GufeTokenizable):  # type: ignore[no-redef]
        """Annotated class attributes with defaults, written as for pydantic."""

        def __init__(self, **values: Any) -> None:
            for key in self.__annotations__:
                setattr(self, key, values.pop(key) if key in values else getattr(type(self), key))
            if values:
                raise ValueError(f"unknown settings {sorted(values)}; known: {sorted(self.__annotations__)}")

        def _to_dict(self) -> dict[str, Any]:
            return {key: getattr(self, key) for key in self.__annotations__}

        @classmethod
        def _from_dict(cls, dct: dict[str, Any]) -> Any:
            return cls(**dct)

    class ProtocolBase(_NoDefaults, gufe.Protocol):  # type: ignore[no-redef]
        """A subclass writes `_create` with the signature of gufe >= 1."""

        __eq__, __hash__ = GufeTokenizable.__eq__, GufeTokenizable.__hash__

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            create = cls.__dict__.get("_create")
            if create is not None and "extends" in inspect.signature(create).parameters:

                def _create(self: Any, stateA: Any, stateB: Any, mapping: Any = None, extend_from: Any = None) -> Any:
                    return create(self, stateA, stateB, mapping, extends=extend_from)

                cls._create = _create

    class ProtocolResultBase(_NoDefaults, gufe.ProtocolResult):  # type: ignore[no-redef]
        """Adds what 0.4 demands and reads back what it writes."""

        def get_rate_of_convergence(self) -> None:
            return None

        @classmethod
        def _from_dict(cls, dct: dict[str, Any]) -> Any:
            return cls(**dct["data"])

    class ProtocolUnitBase(_NoDefaults, ProtocolUnit):  # type: ignore[no-redef]
        """A ProtocolUnit for both versions."""

    # --- end of gufe 0.4 only
