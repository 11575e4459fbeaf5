"""Loading of configs that tests write."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.config.errors import ConfigError
from probe.config.loader import load
from probe.config.settings import Settings

URL = "http://localhost:5000/predict"


def load_config(tmp_path: Path, config: Any, **environ: str) -> Settings:
    """Return the settings of a config, given as YAML text or as values."""
    file = tmp_path / "probe.yml"
    file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return load(file, environ=environ)


def load_problems(tmp_path: Path, config: Any, **environ: str) -> list[str]:
    """Return the problems of a config, without the directory of the file."""
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, config, **environ)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
