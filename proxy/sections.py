"""What every table of the settings has in common.

Owns strictness and the types that several tables share. Refuses to know any of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A table: no unknown keys, no conversions, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _decimal(value: Any) -> Any:
    """TOML's floats as the decimals that were written: 0.1 is a tenth."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    return value


def as_float(value: Any) -> Any:
    """An integer where a float is meant: `seconds = 10`."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def listed(value: Any) -> Any:
    """One word stands for a list of one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Usd = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(as_float), Field(ge=0)]
Share = Annotated[float, BeforeValidator(as_float), Field(ge=0, le=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)]
"""One word or several."""
Statuses = Annotated[
    tuple[Annotated[int, Field(ge=400, le=599)], ...],
    BeforeValidator(listed),
    Field(min_length=1),
]
