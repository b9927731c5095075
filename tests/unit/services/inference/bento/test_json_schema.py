from __future__ import annotations

from services.inference.bento.json_schema import standalone


def test_references_are_replaced_by_definitions() -> None:
    schema = {
        "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/One"}}},
        "$defs": {
            "One": {"type": "object", "properties": {"two": {"$ref": "#/$defs/Two"}}},
            "Two": {"type": "integer"},
        },
    }
    assert standalone(schema) == {
        "properties": {
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"two": {"type": "integer"}}},
            }
        }
    }


def test_choice_keeps_every_alternative() -> None:
    choice = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}], "title": "Value"}
    assert standalone(choice) == {"oneOf": [{"type": "number"}, {"type": "string"}], "title": "Value"}


def test_optional_field_has_its_type_and_no_null() -> None:
    field = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "A name."}
    assert standalone(field) == {"type": "string", "description": "A name."}
