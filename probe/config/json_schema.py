"""The JSON Schema of a config, with which editors complete and check it as it is written.

It is kept in a file: `python -m probe.config.json_schema > config/probe.schema.json`
"""

import copy
import json
import sys
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from probe.config.schema import Settings


class _Untitled(GenerateJsonSchema):
    """Titles would only repeat the names of the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """What the loader takes, as far as a JSON Schema can say it (draft 2020-12)."""
    described = Settings.model_json_schema(schema_generator=_Untitled)
    definitions, properties = described["$defs"], described["properties"]
    for definition in definitions.values():
        for described_key in definition.get("properties", {}).values():
            if "patternProperties" in described_key:
                described_key["additionalProperties"] = False
    definitions["Defaults"] = _defaults(definitions["Probe"])
    # A probe's URL may be in the defaults.
    definitions["Probe"]["required"] = ["name"]
    properties["probes"]["minItems"] = 1
    properties["defaults"] = {
        "anyOf": [{"$ref": "#/$defs/Defaults"}, {"type": "null"}],
        "description": "What probes share; any key of a probe but its name.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def _defaults(probe: dict[str, Any]) -> dict[str, Any]:
    defaults = copy.deepcopy(probe)
    del defaults["properties"]["name"], defaults["required"]
    return {**defaults, "description": "What probes share."}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
