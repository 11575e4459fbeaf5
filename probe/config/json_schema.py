"""JSON Schema of the config, for completion and checks in editors.

`python -m probe.config.json_schema > config/probe.schema.json` writes the file.
"""

import copy
import json
import sys
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from probe.config.schema import SettingsModel


class _JsonSchema(GenerateJsonSchema):
    """A generator that leaves out titles, which would only repeat the names of the keys.

    The name of a definition is that of the settings: `Probe` for `ProbeModel`.
    """

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name.removesuffix("Model"))

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12), as strict as JSON Schema can be."""
    schema = SettingsModel.model_json_schema(schema_generator=_JsonSchema)
    definitions, properties = schema["$defs"], schema["properties"]
    for definition in definitions.values():
        for key in definition.get("properties", {}).values():
            if "patternProperties" in key:
                key["additionalProperties"] = False
    definitions["Defaults"] = _defaults(definitions["Probe"])
    # The URL of a probe may be in the defaults.
    definitions["Probe"]["required"] = ["name"]
    properties["probes"]["minItems"] = 1
    properties["defaults"] = {
        "anyOf": [{"$ref": "#/$defs/Defaults"}, {"type": "null"}],
        "description": "Keys that all probes share: any key of a probe except `name`.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _defaults(probe: dict[str, Any]) -> dict[str, Any]:
    defaults = copy.deepcopy(probe)
    del defaults["properties"]["name"], defaults["required"]
    return {**defaults, "description": "Keys that all probes share."}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
