"""Holds a value against a model, and says in one sentence what is wrong with it. Pure.

JSON schemas have a file of their own."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from migrator.errors import BadRequest

_TOLD = 3  # of what is wrong with a value
_WORDS_MAX = 1000  # characters of that
Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], value: Any) -> Model:
    """Raises BadRequest that names the fields."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        message = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {_describe_error(one)}" for one in found[:_TOLD]]
        more = [f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
        raise BadRequest("; ".join(message + more)[:_WORDS_MAX]) from error


def _describe_error(error: ErrorDetails) -> str:
    """A model's name is no client's word."""
    return "Input should be an object" if error["type"] == "model_type" else error["msg"]
