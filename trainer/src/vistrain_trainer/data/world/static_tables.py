"""The rows of a release that belong to no scene."""

from __future__ import annotations

from collections.abc import Sequence

from vistrain_trainer.data.world.calibration import CHANNELS, modality
from vistrain_trainer.data.world.categories import ATTRIBUTES, CATEGORIES
from vistrain_trainer.data.world.logs import LOCATIONS, Log, map_file
from vistrain_trainer.data.world.scene import token
from vistrain_trainer.data.world.scene_tables import attribute_token, category_token, sensor_token
from vistrain_trainer.data.world.tables import Attribute, Category, Map, Row, Sensor, Visibility
from vistrain_trainer.data.world.tables import Log as LogRow
from vistrain_trainer.data.world.visibility import LEVELS


def static_rows(logs: Sequence[Log]) -> dict[str, list[Row]]:
    """Rows by table. Every location has a map, with a log or without."""
    return {
        "category": [Category(category_token(name), name, "") for name in CATEGORIES],
        "attribute": [Attribute(attribute_token(name), name, "") for name in ATTRIBUTES],
        "visibility": [
            Visibility(f"visibility of whole object is {level[1:]}%", str(number), level)
            for number, level in enumerate(LEVELS, start=1)
        ],
        "sensor": [Sensor(sensor_token(channel), channel, modality(channel)) for channel in CHANNELS],
        "log": [LogRow(log.token, log.name, log.vehicle, log.date, log.location) for log in logs],
        "map": [
            Map(
                "semantic_prior",
                token(0, "map", location),
                map_file(location),
                [log.token for log in logs if log.location == location],
            )
            for location in LOCATIONS
        ],
    }
